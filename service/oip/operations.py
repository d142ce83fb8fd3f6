"""The routes of the protocol for the OpenAPI document."""

from pydantic import BaseModel

from service.oip import schemas
from service.operation import BODY_ERRORS, Json, Operation
from service.wire.media_types import JSON, OCTETS

_MODEL = "/v2/models/{model}"
_MODEL_ERRORS = (404, 503)


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_LENGTH: Json = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Length of the JSON before the bytes of binary tensors.",
}


def _get(
    path: str, summary: str, answer: type[BaseModel], errors: tuple[int, ...] = ()
) -> Operation:
    return Operation(
        path,
        "get",
        summary,
        200,
        answer,
        errors=errors,
        parameters=_parameters_of(path),
        problem=schemas.InferenceError,
        problem_type=JSON,
    )


def _infer(path: str) -> Operation:
    return Operation(
        path,
        "post",
        "Outputs for a batch of inputs.",
        200,
        schemas.InferAnswer,
        schemas.InferBody,
        binary_answers=(OCTETS,),
        binary_bodies=(OCTETS,),
        errors=(*BODY_ERRORS, 404),
        parameters=(*_parameters_of(path), _LENGTH),
        problem=schemas.InferenceError,
        problem_type=JSON,
    )


def _parameters_of(path: str) -> tuple[Json, ...]:
    return tuple(_path_parameter(name) for name in ("model", "version") if f"{{{name}}}" in path)


def _of_model(prefix: str) -> tuple[Operation, ...]:
    """The three routes of a model or of one of its versions."""
    return (
        _get(prefix, "Inputs and outputs.", schemas.ModelMetadata, _MODEL_ERRORS),
        _get(f"{prefix}/ready", "It is served.", schemas.ModelReady, _MODEL_ERRORS),
        _infer(f"{prefix}/infer"),
    )


OIP_OPERATIONS = (
    _get("/v2", "Name and extensions of the server.", schemas.InferenceServer),
    _get("/v2/health/live", "The process lives.", schemas.ServerLive),
    _get("/v2/health/ready", "A bundle is served.", schemas.ServerReady, (503,)),
    *_of_model(_MODEL),
    *_of_model(_MODEL + "/versions/{version}"),
)
