"""The one form of every error."""

import httpx

from service.schemas import ProblemDocument


def assert_problem(response: httpx.Response, status: int, field: str | None = None) -> None:
    """The response is a problem+json of this status that names the field, and nothing inside."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemDocument.model_validate_json(response.content)
    assert problem.status == status
    assert problem.error == problem.detail
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    if field is not None:
        assert [fault.field for fault in problem.errors] == [field]
        assert all(fault.expected and fault.actual for fault in problem.errors)
