"""What people at the page are told besides, for the OpenAPI document."""

from service.feedback_query import DEFAULT_LIMIT, MOST
from service.operation import BODY_ERRORS, WAITING_ERRORS, Operation, in_path, in_query
from service.people_schemas import (
    DisputesAnswer,
    KeyAnswer,
    LabelEditAnswer,
    LabelEditBody,
    PointAnswer,
)

PEOPLE_OPERATIONS = (
    Operation(
        "/key", "get", "What the key of the request is good for.", 200, KeyAnswer, errors=(422,)
    ),
    Operation(
        "/disputes",
        "get",
        "Inputs that people disagree about.",
        200,
        DisputesAnswer,
        errors=(422, *WAITING_ERRORS),
        parameters=(
            in_query("cursor", {"type": "string"}, "What `next` was in the part before."),
            in_query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
                "At most so many inputs.",
            ),
        ),
    ),
    Operation(
        "/points/{point_id}",
        "get",
        "The input of a point.",
        200,
        PointAnswer,
        errors=(404, 422, *WAITING_ERRORS),
        parameters=(in_path("point_id", {"type": "string"}),),
    ),
    Operation(
        "/labels/edits",
        "post",
        "Rename, merge or delete a label; answered once durable.",
        202,
        LabelEditAnswer,
        LabelEditBody,
        errors=BODY_ERRORS,
    ),
    Operation(
        "/labels/edits/{edit_id}",
        "delete",
        "Undo an edit of a label.",
        202,
        LabelEditAnswer,
        errors=(404, 422, *WAITING_ERRORS),
        parameters=(in_path("edit_id", {"type": "string"}),),
    ),
)
