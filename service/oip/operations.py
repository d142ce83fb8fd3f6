"""The routes of the protocol for the OpenAPI document."""

from pydantic import BaseModel

from service.oip import schemas
from service.operation import BODY_ERRORS, Json, Operation
from service.wire.media_types import JSON, OCTETS

_MODEL = "/v2/models/{model}"


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_LENGTH: Json = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "schema": {"type": "integer", "minimum": 0},
    "description": "Length of the JSON before the bytes of binary tensors.",
}


def _get(path: str, operation_id: str, summary: str, answer: type[BaseModel]) -> Operation:
    return Operation(
        path,
        "get",
        summary,
        200,
        answer,
        errors=(404, 503) if "{" in path else (503,),
        parameters=_parameters_of(path),
        problem=schemas.InferenceError,
        problem_type=JSON,
        operation_id=operation_id,
    )


def _infer(path: str, operation_id: str) -> Operation:
    return Operation(
        path,
        "post",
        "Outputs for a batch of inputs.",
        200,
        schemas.InferAnswer,
        schemas.InferBody,
        binary_answers=(OCTETS,),
        binary_bodies=(OCTETS,),
        errors=(*BODY_ERRORS, 404, 504),
        parameters=(*_parameters_of(path), _LENGTH),
        problem=schemas.InferenceError,
        problem_type=JSON,
        operation_id=operation_id,
    )


def _parameters_of(path: str) -> tuple[Json, ...]:
    return tuple(_path_parameter(name) for name in ("model", "version") if f"{{{name}}}" in path)


def _of_model(prefix: str, suffix: str) -> tuple[Operation, ...]:
    """The three routes of a model or of one of its versions."""
    return (
        _get(prefix, f"get_model{suffix}", "Inputs and outputs.", schemas.ModelMetadata),
        _get(f"{prefix}/ready", f"get_model_ready{suffix}", "It is served.", schemas.ModelReady),
        _infer(f"{prefix}/infer", f"post_infer{suffix}"),
    )


OIP_OPERATIONS = (
    _get("/v2", "get_server", "Name and extensions of the server.", schemas.InferenceServer),
    _get("/v2/health/live", "get_server_live", "The process lives.", schemas.ServerLive),
    _get("/v2/health/ready", "get_server_ready", "A bundle is served.", schemas.ServerReady),
    *_of_model(_MODEL, ""),
    *_of_model(_MODEL + "/versions/{version}", "_version"),
)
