"""Docs and the OpenAPI document; and that every page stands on its own."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

from service.asgi import ROUTES
from service.operations import OPERATIONS
from service.schemas import PredictAnswer
from service.version import VERSION
from tests.service.app_client import AppClient

_ROOT = Path(__file__).parents[2]
_DOCS = {
    "/docs",
    "/docs/start.js",
    "/openapi.json",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
}
_PAGES = {"/", "/assets/{name}"} | _DOCS


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_every_link_of_a_page_is_ours_and_answers(shared_client: AppClient, page: str) -> None:
    response = shared_client.get(page)
    assert response.headers["content-type"].startswith("text/html")
    links = _Links()
    links.feed(response.text)
    targets = [link for link in links.found if link != "data:,"]
    assert targets
    for target in targets:
        assert not re.match(r"[a-z]+:|//", target)
        assert shared_client.get(urljoin(page, target)).status_code == 200


def test_swagger_ui_is_there_without_a_network(shared_client: AppClient) -> None:
    script = shared_client.get("/docs/swagger-ui-bundle.js")
    assert "SwaggerUIBundle" in script.text
    assert "javascript" in script.headers["content-type"]
    assert shared_client.get("/docs/swagger-ui.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("page", ["/", *sorted(_DOCS)])
@pytest.mark.parametrize("wanted", ["bytes=999999999-", "bytes=0-3", "nonsense"])
def test_a_range_is_answered_with_the_whole(
    shared_client: AppClient, page: str, wanted: str
) -> None:
    """Which RFC 9110 allows, and which leaves no error that is not in our form."""
    whole = shared_client.get(page)
    part = shared_client.get(page, headers={"range": wanted})
    assert (part.status_code, part.content) == (200, whole.content)
    assert part.headers["content-type"] == whole.headers["content-type"]


def test_every_route_is_in_the_document_and_no_other(shared_client: AppClient) -> None:
    document = shared_client.get("/openapi.json").json()
    described = {(path, method) for path, ops in document["paths"].items() for method in ops}
    served = {
        (route.path, method.lower())
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in _PAGES
    }
    assert described == served
    assert document["openapi"] == "3.1.0"


def test_every_reference_resolves(shared_client: AppClient) -> None:
    text = shared_client.get("/openapi.json").text
    schemas = shared_client.get("/openapi.json").json()["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references
    assert references <= set(schemas)
    assert "PredictAnswer" in references
    assert "$defs" not in text


def test_answers_fit_their_models(shared_client: AppClient) -> None:
    """The answer of /predict is written without pydantic; here pydantic judges it."""
    every = ["probabilities", "prediction_set", "uncertainty", "scores", "position"]
    document = {"inputs": [[0.5] * 6], "include": [*every, "responsibilities"]}
    document |= {"samples": 2, "fdr": 0.1}
    response = shared_client.post("/predict", json=document)
    answer = PredictAnswer.model_validate_json(response.content)
    # The decoder of the small bundle says nothing of noise.
    silent = {"predictions": {"__all__": {"uncertainty": {"observation_noise"}}}}
    assert answer.model_dump(mode="json", exclude=silent) == response.json()


def test_version_is_the_projects() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_operation_ids_are_distinct(shared_client: AppClient) -> None:
    document = shared_client.get("/openapi.json").json()
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(set(ids)) == len(ids) == len(OPERATIONS)
