"""Every route and method that the OpenAPI document describes."""

from rcmvae.candidates import Strategy
from rcmvae.feedback import FeedbackStatus
from rcmvae.input_rows import WIRE_DTYPES
from service import schemas
from service.candidates_request import DEFAULT_COUNT, DEFAULT_STRATEGY, CandidatePart
from service.column_schemas import PredictColumnsAnswer
from service.feedback_query import DEFAULT_LIMIT, LONGEST_REASON, MOST
from service.include import JsonFormat, Part
from service.oip.operations import OIP_OPERATIONS
from service.operation import BODY_ERRORS, WAITING_ERRORS, Json, Operation, in_path, in_query
from service.people_operations import PEOPLE_OPERATIONS
from service.points import Source
from service.retrain_operations import RETRAIN_OPERATIONS
from service.routes.channels import KINDS
from service.routes.events import EVENT_STREAM
from service.routes.thumbnails import MOST_IDS
from service.sampling_request import COVERAGES, MOST_DRAWS, MOST_SEED, SAMPLED_CHANNELS
from service.wire.media_types import ARROW, PNG, READ

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
        errors=(*BODY_ERRORS, 406),
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
        errors=(422, *WAITING_ERRORS),
        parameters=_LISTING_PARAMETERS,
    ),
    Operation(
        "/feedback/{feedback_id}",
        "get",
        "Where one feedback item stands.",
        200,
        schemas.FeedbackState,
        errors=(404, *WAITING_ERRORS),
        parameters=(_ID_PARAMETER,),
    ),
    Operation(
        "/feedback/{feedback_id}",
        "delete",
        "Withdraw a feedback item.",
        202,
        schemas.FeedbackState,
        errors=(404, 422, *WAITING_ERRORS),
        parameters=(_ID_PARAMETER, _REASON_PARAMETER),
    ),
    Operation(
        "/feedback/{feedback_id}/events",
        "get",
        "Who said what of a feedback item, and when.",
        200,
        schemas.FeedbackHistory,
        errors=(404, *WAITING_ERRORS),
        parameters=(_ID_PARAMETER,),
    ),
    Operation(
        "/feedback/{feedback_id}/accept",
        "post",
        "Queue a quarantined feedback item again.",
        202,
        schemas.FeedbackState,
        errors=(404, 409, 422, *WAITING_ERRORS),
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
        errors=(422, *WAITING_ERRORS),
        parameters=_CANDIDATE_PARAMETERS,
    ),
    Operation(
        "/latent-map",
        "get",
        "The points of the picture, an Arrow IPC stream.",
        200,
        ARROW,
        errors=(422, *WAITING_ERRORS),
        has_etag=True,
        parameters=_MAP_PARAMETERS,
    ),
    Operation(
        "/thumbnails",
        "get",
        "The inputs of many points as one PNG.",
        200,
        PNG,
        errors=(404, 422, *WAITING_ERRORS),
        parameters=(_IDS_PARAMETER,),
    ),
    Operation(
        "/thumbnails/{point_id}",
        "get",
        "The input of a point as a PNG.",
        200,
        PNG,
        errors=(404, 422, *WAITING_ERRORS),
        has_etag=True,
        parameters=(in_path("point_id", {"type": "string"}),),
    ),
    Operation(
        "/channels",
        "get",
        "What the channels stand for.",
        200,
        schemas.ChannelsAnswer,
        errors=(422, *WAITING_ERRORS),
    ),
    Operation(
        "/channels/{channel}/image",
        "get",
        "What a channel decodes to, as a PNG.",
        200,
        PNG,
        errors=(404, 422, 503),
        has_etag=True,
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
