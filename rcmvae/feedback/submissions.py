"""Putting corrections in, once for each idempotency key."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from rcmvae.errors import IdempotencyConflict
from rcmvae.feedback.record import FeedbackRecord, FeedbackStatus, NewFeedback
from rcmvae.feedback.rows import input_columns, record_of
from rcmvae.feedback.schema import feedback, submission


def open_submission(connection: Connection, key: str, body_sha256: str, now: datetime) -> None:
    """Take an idempotency key.

    Raises:
        sqlalchemy.exc.IntegrityError: the key is taken.
    """
    values = {"idempotency_key": key, "body_sha256": body_sha256, "created": now}
    connection.execute(insert(submission), values)


def insert_feedback(
    connection: Connection, items: Sequence[NewFeedback], key: str | None, now: datetime
) -> tuple[FeedbackRecord, ...]:
    """Insert corrections, in order, and return them as they now stand."""
    if not items:
        return ()
    rows = [_values(item, key, now) for item in items]
    connection.execute(insert(feedback), rows)
    return tuple(_record(item, row, now) for item, row in zip(items, rows, strict=True))


def first_reply(
    connection: Connection, key: str, body_sha256: str
) -> tuple[FeedbackRecord, ...] | None:
    """Return what was answered when the key was first used, or None if it never was.

    The records are given as they stood then, queued, so that equal requests have equal replies.

    Raises:
        IdempotencyConflict: the key came with another body.
    """
    query = select(submission.c.body_sha256).where(submission.c.idempotency_key == key)
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        return None
    if known != body_sha256:
        raise IdempotencyConflict("the idempotency key was used before with another body")
    rows = select(feedback).where(feedback.c.idempotency_key == key).order_by(feedback.c.seq)
    return tuple(_as_posted(record_of(row)) for row in connection.execute(rows))


def _as_posted(record: FeedbackRecord) -> FeedbackRecord:
    return replace(record, status=FeedbackStatus.QUEUED, applied_version=None, reason=None)


def _values(item: NewFeedback, key: str | None, now: datetime) -> dict[str, object]:
    return {
        "feedback_id": uuid4().hex,
        "idempotency_key": key,
        "label": item.label,
        "prediction_id": item.prediction_id,
        "bundle_version": item.bundle_version,
        "status": FeedbackStatus.QUEUED.value,
        "created": now,
        **input_columns(item.input),
    }


def _record(item: NewFeedback, row: dict[str, object], now: datetime) -> FeedbackRecord:
    array = item.input.copy()
    array.flags.writeable = False
    return FeedbackRecord(
        feedback_id=str(row["feedback_id"]),
        label=item.label,
        input=array,
        prediction_id=item.prediction_id,
        status=FeedbackStatus.QUEUED,
        created=now,
        applied_version=None,
        reason=None,
        bundle_version=item.bundle_version,
        input_sha256=str(row["input_sha256"]),
    )
