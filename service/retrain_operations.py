"""Retraining and versions, for the OpenAPI document."""

from service.operation import BODY_ERRORS, WAITING_ERRORS, Operation
from service.retrain_schemas import (
    RetrainAnswer,
    RetrainBody,
    RetrainJob,
    RetrainReceipt,
    VersionAnswer,
    VersionBody,
    VersionsAnswer,
)

RETRAIN_OPERATIONS = (
    Operation(
        "/retrain",
        "get",
        "What is being retrained, and what was.",
        200,
        RetrainAnswer,
        errors=(422, *WAITING_ERRORS),
    ),
    Operation(
        "/retrain",
        "post",
        "Ask for a retrain job; answered once durable.",
        202,
        RetrainReceipt,
        RetrainBody,
        body_required=False,
        errors=BODY_ERRORS,
    ),
    Operation(
        "/versions",
        "get",
        "The versions on disk, or one with its whole lineage.",
        200,
        VersionsAnswer,
        other_answer=VersionAnswer,
        errors=(404, 409, 422, *WAITING_ERRORS),
        parameters=(
            {
                "name": "version",
                "in": "query",
                "schema": {"type": "string"},
                "description": "Of the one.",
            },
        ),
    ),
    *(
        Operation(
            f"/bundle/{move}",
            "post",
            summary,
            200,
            RetrainJob,
            VersionBody,
            body_required=move == "promote",
            errors=(*BODY_ERRORS, 404, 409),
        )
        for move, summary in (
            ("promote", "Make a version current, such as one that the gate held."),
            ("rollback", "Make an earlier version current, by default the parent."),
        )
    ),
)
