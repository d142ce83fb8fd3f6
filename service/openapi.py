"""The OpenAPI document, from the models in `schemas`."""

from collections.abc import Mapping
from functools import cache

import orjson
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from rcmvae.candidates import Strategy
from rcmvae.feedback import FeedbackStatus
from rcmvae.input_rows import WIRE_DTYPES
from service import schemas
from service.candidates_request import DEFAULT_COUNT, DEFAULT_STRATEGY, CandidatePart
from service.column_schemas import PredictColumnsAnswer
from service.feedback_query import DEFAULT_LIMIT, LONGEST_REASON, MOST
from service.include import JsonFormat, Part
from service.oip.operations import OIP_OPERATIONS
from service.operation import BODY_ERRORS, Json, Operation, in_path, in_query
from service.people_operations import PEOPLE_OPERATIONS
from service.points import Source
from service.retrain_operations import RETRAIN_OPERATIONS
from service.routes.channels import KINDS
from service.routes.events import EVENT_STREAM
from service.routes.thumbnails import MOST_IDS
from service.sampling_request import COVERAGES, MOST_DRAWS, MOST_SEED, SAMPLED_CHANNELS
from service.version import VERSION
from service.wire.media_types import ARROW, JSON, PNG, READ

_REFERENCE = "#/components/schemas/{model}"
_BYTES: Json = {"schema": {"type": "string", "format": "binary"}}
_STATUS_TEXT = {
    400: "Malformed JSON.",
    404: "No such id.",
    406: "A media type that the route cannot answer in.",
    408: "The body took too long to arrive.",
    409: "Something else is under way, such as the first request with the key.",
    413: "The body is too large.",
    415: "A content type or encoding that the route does not read.",
    422: "A field does not fit.",
    503: "No bundle is served yet, too many rows wait, or the store does not answer.",
    504: "No answer within the deadline.",
}


_PREDICT_PARAMETERS = (
    in_query("dtype", {"enum": list(WIRE_DTYPES)}, "Element type; for octets, and required."),
    in_query(
        "alpha",
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "False-alarm rate; not with JSON.",
    ),
    in_query(
        "fdr",
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "False discovery rate of this batch; not with JSON.",
    ),
    in_query("include", {"type": "string"}, f"Of {', '.join(Part)}, with commas; not with JSON."),
    in_query("coverage", {"enum": list(COVERAGES)}, "Of the prediction sets; not with JSON."),
    in_query(
        "samples",
        {"type": "integer", "minimum": 2, "maximum": MOST_DRAWS},
        "Draws of the sampled uncertainty; not with JSON.",
    ),
    in_query("format", {"enum": list(JsonFormat)}, "Layout of an answer in JSON; not with JSON."),
    in_query(
        "seed",
        {"type": "integer", "minimum": 0, "maximum": MOST_SEED},
        "Of the draws; not with JSON.",
    ),
    in_query("sample_channel", {"enum": list(SAMPLED_CHANNELS)}, "Of the draws; not with JSON."),
)
_CANDIDATE_PARAMETERS = (
    in_query("strategy", {"enum": list(Strategy), "default": DEFAULT_STRATEGY}, "How to choose."),
    in_query("count", {"type": "integer", "minimum": 1, "default": DEFAULT_COUNT}, "How many."),
    in_query("include", {"enum": list(CandidatePart)}, "Optional parts."),
)
_MAP_PARAMETERS = (
    in_query("sources", {"type": "string"}, f"Of {', '.join(Source)}, with commas; all if none."),
    in_query("limit", {"type": "integer", "minimum": 1}, "Most points of each source."),
)
_IDS_PARAMETER: Json = {
    **in_query("ids", {"type": "string"}, f"1 to {MOST_IDS} ids of points, with commas."),
    "required": True,
}
_CHANNEL_IMAGE_PARAMETERS = (
    in_path("channel", {"type": "integer", "minimum": 0}),
    in_query("kind", {"enum": list(KINDS), "default": "mean"}, "Of the channel's prior."),
    in_query("seed", {"type": "integer", "minimum": 0, "default": 0}, "Of a sample."),
)
_RECONSTRUCT_CHANNELS = in_query(
    "channels", {"type": "integer", "minimum": 1, "default": 1}, "How many of each input's best."
)
_LAST_EVENT_PARAMETER: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "description": "The id of the last event that came; browsers send it by themselves.",
}
_KEY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "Posting the same body again with the same key stores nothing twice.",
}
_ID_PARAMETER: Json = {
    "name": "feedback_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
}
_LISTING_PARAMETERS: tuple[Json, ...] = (
    in_query("status", {"type": "string", "enum": [*FeedbackStatus]}, "Where the items stand."),
    in_query("label", {"type": "string", "minLength": 1, "maxLength": 64}, "Of the items."),
    in_query("author", {"type": "string", "minLength": 1, "maxLength": 128}, "Of the items."),
    in_query("cursor", {"type": "string"}, "What `next` was in the part before."),
    in_query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
        "At most so many items.",
    ),
)
_REASON_PARAMETER = in_query(
    "reason", {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON}, "Why."
)
OPERATIONS = (
    *RETRAIN_OPERATIONS,
    *OIP_OPERATIONS,
    *PEOPLE_OPERATIONS,
    Operation(
        "/predict",
        "post",
        "Label, uncertainty and decision for one or many inputs.",
        200,
        schemas.PredictAnswer,
        schemas.PredictBody,
        other_answer=PredictColumnsAnswer,
        binary_answers=(ARROW,),
        binary_bodies=READ[1:],
        errors=(*BODY_ERRORS, 406, 504),
        parameters=_PREDICT_PARAMETERS,
    ),
    Operation(
        "/feedback",
        "post",
        "Right labels for predictions or inputs; answered once durable.",
        202,
        schemas.FeedbackAnswer,
        schemas.FeedbackBody,
        errors=(*BODY_ERRORS, 404, 409),
        parameters=(_KEY_PARAMETER,),
    ),
    Operation(
        "/feedback",
        "get",
        "Feedback items, newest first.",
        200,
        schemas.FeedbackListing,
        errors=(422, 503),
        parameters=_LISTING_PARAMETERS,
    ),
    Operation(
        "/feedback/{feedback_id}",
        "get",
        "Where one feedback item stands.",
        200,
        schemas.FeedbackState,
        errors=(404, 503),
        parameters=(_ID_PARAMETER,),
    ),
    Operation(
        "/feedback/{feedback_id}",
        "delete",
        "Withdraw a feedback item.",
        202,
        schemas.FeedbackState,
        errors=(404, 422, 503),
        parameters=(_ID_PARAMETER, _REASON_PARAMETER),
    ),
    Operation(
        "/feedback/{feedback_id}/events",
        "get",
        "Who said what of a feedback item, and when.",
        200,
        schemas.FeedbackHistory,
        errors=(404, 503),
        parameters=(_ID_PARAMETER,),
    ),
    Operation(
        "/feedback/{feedback_id}/accept",
        "post",
        "Queue a quarantined feedback item again.",
        202,
        schemas.FeedbackState,
        errors=(404, 409, 422, 503),
        parameters=(_ID_PARAMETER,),
    ),
    Operation("/labels", "get", "Labels and evidence.", 200, schemas.LabelsAnswer, errors=(503,)),
    Operation("/bundle", "get", "What is served.", 200, schemas.BundleAnswer, errors=(503,)),
    Operation(
        "/candidates",
        "get",
        "What to label next.",
        200,
        schemas.CandidatesAnswer,
        errors=(422, 503),
        parameters=_CANDIDATE_PARAMETERS,
    ),
    Operation(
        "/latent-map",
        "get",
        "The points of the picture, an Arrow IPC stream.",
        200,
        ARROW,
        errors=(422, 503),
        parameters=_MAP_PARAMETERS,
    ),
    Operation(
        "/thumbnails",
        "get",
        "The inputs of many points as one PNG.",
        200,
        PNG,
        errors=(404, 422, 503),
        parameters=(_IDS_PARAMETER,),
    ),
    Operation(
        "/thumbnails/{point_id}",
        "get",
        "The input of a point as a PNG.",
        200,
        PNG,
        errors=(404, 422, 503),
        parameters=(in_path("point_id", {"type": "string"}),),
    ),
    Operation(
        "/channels",
        "get",
        "What the channels stand for.",
        200,
        schemas.ChannelsAnswer,
        errors=(422, 503),
    ),
    Operation(
        "/channels/{channel}/image",
        "get",
        "What a channel decodes to, as a PNG.",
        200,
        PNG,
        errors=(404, 422, 503),
        parameters=_CHANNEL_IMAGE_PARAMETERS,
    ),
    Operation(
        "/reconstruct",
        "post",
        "What the model sees of inputs: their decoding by the best channels.",
        200,
        schemas.ReconstructAnswer,
        schemas.PredictBody,
        binary_bodies=READ[1:],
        errors=BODY_ERRORS,
        parameters=(_RECONSTRUCT_CHANNELS, *_PREDICT_PARAMETERS),
    ),
    Operation(
        "/events",
        "get",
        "Predictions, bundles, retrain jobs and drift as they come: server-sent events.",
        200,
        EVENT_STREAM,
        errors=(422, 503),
        parameters=(_LAST_EVENT_PARAMETER,),
    ),
    Operation(
        "/drift", "get", "Whether the traffic drifts.", 200, schemas.DriftAnswer, errors=(503,)
    ),
    Operation("/livez", "get", "The process lives.", 200, schemas.HealthAnswer),
    Operation("/readyz", "get", "A bundle is served.", 200, schemas.HealthAnswer, errors=(503,)),
    Operation("/metrics", "get", "Metrics for Prometheus.", 200, "text/plain"),
)


@cache
def openapi_json() -> bytes:
    """The document as JSON, OpenAPI 3.1."""
    return orjson.dumps(document())


def document() -> Json:
    """The document."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RCM-VAE",
            "version": VERSION,
            "description": "Says what an input is, how sure it is, and whether it belongs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": {"schemas": _schemas()},
    }


def _described(operation: Operation) -> Json:
    described: Json = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "responses": _responses(operation),
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


def _responses(operation: Operation) -> Json:
    statuses: Json = {str(operation.status): _success(operation)}
    for status in sorted(operation.errors):
        statuses[str(status)] = _problem(operation, _STATUS_TEXT[status])
    statuses["default"] = _problem(operation, "Any other error.")
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


def _problem(operation: Operation, description: str) -> Json:
    content: Json = {operation.problem_type: _schema_of(operation.problem)}
    return {"description": description, "content": content}


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
