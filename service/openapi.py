"""The OpenAPI document, from the models in `schemas`."""

from collections.abc import Mapping
from functools import lru_cache

import orjson
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from service import schemas
from service.access import Access, Need, Scope
from service.operation import ADMISSION_ERRORS, Json, Operation
from service.operations import OPERATIONS
from service.problem import MEDIA_TYPE
from service.version import VERSION
from service.wire.media_types import JSON

_KEY = "key"
_SCHEMES: Json = {
    _KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `python -m service keys new`; the scopes of a route are named "
        "beside it. `admin` has all of them.",
    }
}
_REFERENCE = "#/components/schemas/{model}"
_BYTES: Json = {"schema": {"type": "string", "format": "binary"}}
_STATUS_TEXT = {
    304: "The client has this answer already.",
    400: "Malformed JSON.",
    401: "No key, or an unknown or expired one.",
    403: "The key is not good for this; or no keys are configured, and the client is elsewhere.",
    404: "No such id.",
    406: "A media type that the route cannot answer in.",
    408: "The body took too long to arrive.",
    409: "Something else is under way, such as the first request with the key.",
    413: "The body is too large.",
    415: "A content type or encoding that the route does not read.",
    421: "No keys are configured, and Host names another machine.",
    422: "A field does not fit.",
    429: "The quota of the key or address is used up.",
    503: "No bundle is served yet, too much waits already, or the store does not answer.",
    504: "No answer within the deadline.",
}


_RESPONSE_HEADERS: Mapping[int, tuple[str, Json]] = {
    401: ("WWW-Authenticate", {"type": "string"}),
    429: ("Retry-After", {"type": "integer", "minimum": 1}),
    503: ("Retry-After", {"type": "integer", "minimum": 1}),
}
"""What a reply of this status always has."""


@lru_cache(maxsize=2)
def openapi_json(needs: frozenset[Need], *, has_keys: bool) -> bytes:
    """The document as JSON, OpenAPI 3.1.

    Args:
        needs: of every route.
        has_keys: whether the service asks for keys.
    """
    by_route = {(need.path, need.method): need.needs for need in needs}
    return orjson.dumps(_document(by_route, has_keys=has_keys))


def _document(needs: Mapping[tuple[str, str], Access | Scope], *, has_keys: bool) -> Json:
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        need = needs[operation.path, operation.method]
        described = _described(operation, need)
        if has_keys and need is not Access.OPEN:
            described["security"] = [{_KEY: _scopes(need)}]
        paths.setdefault(operation.path, {})[operation.method] = described
    components: Json = {"schemas": _schemas()}
    if has_keys:
        components["securitySchemes"] = _SCHEMES
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RCM-VAE",
            "version": VERSION,
            "description": "Says what an input is, how sure it is, and whether it belongs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": components,
    }


def _scopes(need: Access | Scope) -> list[JsonValue]:
    return [need.value] if isinstance(need, Scope) else []


def _described(operation: Operation, need: Access | Scope) -> Json:
    described: Json = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "responses": _responses(operation, need),
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content = _body_content(operation.body, operation.binary_bodies)
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _operation_id(operation: Operation) -> str:
    words = operation.path.translate(str.maketrans("/-.", "___", "{}")).strip("_")
    return f"{operation.method}_{words}"


def _responses(operation: Operation, need: Access | Scope) -> Json:
    admission = () if need is Access.OPEN else ADMISSION_ERRORS
    statuses: Json = {str(operation.status): _success(operation)}
    if operation.has_etag:
        statuses["304"] = {"description": _STATUS_TEXT[304]}
    for status in sorted({*operation.errors, *admission}):
        statuses[str(status)] = _problem(operation, status)
    statuses["default"] = _problem(operation, None)
    return statuses


def _success(operation: Operation) -> Json:
    if isinstance(operation.answer, str):
        return {"description": "Success.", "content": {operation.answer: {}}}
    if operation.other_answer is None:
        content: Json = {JSON: _schema_of(operation.answer)}
    else:
        models = (operation.answer, operation.other_answer)
        content = {JSON: {"schema": {"oneOf": [_reference(model) for model in models]}}}
    content |= dict.fromkeys(operation.binary_answers, _BYTES)
    return {"description": "Success.", "content": content}


def _problem(operation: Operation, status: int | None) -> Json:
    """The reply with an error; without a status, with any other."""
    content: Json = {operation.problem_type: _schema_of(operation.problem)}
    if status not in operation.own_errors:
        content |= {MEDIA_TYPE: _schema_of(schemas.ProblemDocument)}
    if status is None:
        return {"description": "Any other error.", "content": content}
    described: Json = {"description": _STATUS_TEXT[status], "content": content}
    if status in _RESPONSE_HEADERS:
        name, schema = _RESPONSE_HEADERS[status]
        described["headers"] = {name: {"required": True, "schema": schema}}
    return described


def _body_content(model: type[BaseModel], binary: tuple[str, ...]) -> Json:
    return {JSON: _schema_of(model), **dict.fromkeys(binary, _BYTES)}


def _schema_of(model: type[BaseModel]) -> Json:
    return {"schema": _reference(model)}


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _schemas() -> Json:
    bodies = {operation.body for operation in OPERATIONS if operation.body is not None}
    answers = {o.answer for o in OPERATIONS if not isinstance(o.answer, str)}
    others = {o.other_answer for o in OPERATIONS if o.other_answer is not None}
    problems = {o.problem for o in OPERATIONS} | {schemas.ProblemDocument}
    models = sorted(bodies | answers | others | problems, key=lambda m: m.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCE
    )
    defined: Mapping[str, JsonValue] = definitions["$defs"]
    return dict(defined)
