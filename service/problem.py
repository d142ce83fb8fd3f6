"""Every error of the service as RFC 9457 problem+json, with an ``error`` member beside.

Inference-protocol clients read ``error``; everybody else reads ``errors``, one entry for every
field at fault with what was expected and what came. No stack trace leaves the process.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from rcmvae.errors import (
    BundleNotFound,
    FeedbackNotFound,
    IdempotencyConflict,
    IdempotencyInFlight,
    InvalidInput,
    RcmvaeError,
    StoreUnavailable,
)
from service.request_id import current_request_id

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field at fault: its path, what would have been accepted, what came."""

    field: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem+json document and the headers that go with it.

    Attributes:
        status: HTTP status code.
        kind: last part of the ``type`` URN, stable for programs to match on.
        detail: one sentence for people.
        errors: the fields at fault.
        headers: extra response headers.
    """

    status: int
    kind: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The problem as an HTTP response."""
        document = {
            "type": f"urn:rcmvae:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
            "errors": self.errors,
            "request_id": current_request_id.get(),
        }
        body = orjson.dumps(document)
        return Response(body, self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


class RequestRefused(RcmvaeError):
    """A request that HTTP itself has a status for; carries the finished problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refusal(status: int, kind: str, field: str, expected: str, actual: str) -> RequestRefused:
    """A refusal for one field."""
    detail = f"{field}: expected {expected}, got {actual}"
    return RequestRefused(Problem(status, kind, detail, (FieldError(field, expected, actual),)))


def quoted(text: str, limit: int = 64) -> str:
    """Text from outside for an error: escaped, and cut."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def problem_of(error: Exception) -> Problem:
    """The problem that tells a client about an error.

    Anything that is not raised on purpose becomes a 500 that says nothing about the inside.
    """
    if isinstance(error, RequestRefused):
        return error.problem
    if isinstance(error, InvalidInput):
        fault = FieldError(error.field, error.expected, error.actual)
        return Problem(422, "invalid-input", str(error), (fault,))
    for kind, problem in _BY_ERROR:
        if isinstance(error, kind):
            return problem
    return _INTERNAL


async def on_raised(request: Request, error: Exception) -> Response:
    """Starlette's handler of errors raised on purpose."""
    problem = problem_of(error)
    # What was refused on purpose is counted; a line for each would be the overload's second wave.
    if problem.status >= 500 and not isinstance(error, RequestRefused):
        _log.warning("%s: %s", problem.kind, error)
    return counted(request, problem)


def counted(request: Request, problem: Problem) -> Response:
    """The problem as a response, after it was counted."""
    request.app.state.runtime.metrics.rejections.labels(problem.kind).inc()
    return problem.response()


async def on_http(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods_of(request)
        error.headers = {**(error.headers or {}), "Allow": allowed}
        problem = _routing(error, "method-not-allowed", "method", allowed, request.method)
    else:
        path = quoted(request.url.path)
        problem = _routing(error, "not-found", "path", "a route of /openapi.json", path)
    return counted(request, problem)


def _methods_of(request: Request) -> str:
    """The methods of every route at the path of a request; Starlette names those of the first."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    here = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))


def _routing(
    error: HTTPException, kind: str, field_name: str, expected: str, actual: str
) -> Problem:
    fault = FieldError(field_name, expected, actual)
    detail = f"{field_name}: expected {expected}, got {actual}"
    return Problem(error.status_code, kind, detail, (fault,), error.headers or {})


async def on_disconnect(request: Request, _error: Exception) -> Response:
    """The client left before its body was complete: nobody reads this answer."""
    left = Problem(400, "client-disconnected", "the client closed the connection")
    return counted(request, left)


_INTERNAL = Problem(500, "internal", "an unexpected error has occurred; the server log has it")
_BY_ERROR: tuple[tuple[type[RcmvaeError], Problem], ...] = (
    (
        FeedbackNotFound,
        Problem(
            404,
            "feedback-not-found",
            "no feedback has this id",
            (FieldError("feedback_id", "an id that POST /feedback returned", "an unknown id"),),
        ),
    ),
    (
        IdempotencyInFlight,
        Problem(
            409,
            "idempotency-in-flight",
            "the first request with this idempotency key is not done yet; send it again",
            (FieldError("Idempotency-Key", "a request that has ended", "one that has not"),),
            headers={"Retry-After": "1"},
        ),
    ),
    (
        IdempotencyConflict,
        Problem(
            422,
            "idempotency-conflict",
            "the idempotency key was used before with another body",
            (FieldError("Idempotency-Key", "a new key, or the same body", "another body"),),
        ),
    ),
    (
        StoreUnavailable,
        Problem(
            503,
            "store-unavailable",
            "the feedback store does not answer; nothing was stored",
            headers={"Retry-After": "1"},
        ),
    ),
    (
        BundleNotFound,
        Problem(503, "no-bundle", "no bundle is served yet", headers={"Retry-After": "1"}),
    ),
)
