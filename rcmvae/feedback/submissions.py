"""Putting corrections in, once for each idempotency key."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from rcmvae.errors import IdempotencyConflict
from rcmvae.feedback import history
from rcmvae.feedback.lives import settle
from rcmvae.feedback.postgresql import lock_inputs
from rcmvae.feedback.record import FeedbackEvent, FeedbackRecord, NewFeedback
from rcmvae.feedback.rows import input_columns, record_of
from rcmvae.feedback.schema import feedback, submission
from rcmvae.feedback.status import FeedbackStatus

Values = dict[str, object]
"""Columns of one row, as SQLAlchemy takes them."""


def open_submission(
    connection: Connection, author: str, key: str, body_sha256: str, now: datetime
) -> None:
    """Take an author's idempotency key.

    Raises:
        sqlalchemy.exc.IntegrityError: the key is taken.
    """
    values = {
        "author": author,
        "idempotency_key": key,
        "body_sha256": body_sha256,
        "created": now,
    }
    connection.execute(insert(submission), values)


def feedback_rows(items: Sequence[NewFeedback], author: str, source: str | None) -> list[Values]:
    """Rows for corrections, before the transaction: to pack the inputs takes longer than to insert.

    What only the transaction knows, time and key, is left out.
    """
    return [
        {
            "feedback_id": uuid4().hex,
            "author": author,
            "source": source,
            "label": item.label,
            "prediction_id": item.prediction_id,
            "bundle_version": item.bundle_version,
            "status": FeedbackStatus.QUEUED.value,
            **input_columns(item.input),
        }
        for item in items
    ]


def insert_feedback(
    connection: Connection,
    items: Sequence[NewFeedback],
    rows: Sequence[Values],
    key: str | None,
    now: datetime,
) -> tuple[FeedbackRecord, ...]:
    """Insert corrections, in order, and return them as they were posted: queued.

    Those that do not prevail are superseded by the time the transaction ends.
    """
    if not items:
        return ()
    digests = {str(row["input_sha256"]) for row in rows}
    lock_inputs(connection, digests)
    connection.execute(
        insert(feedback), [row | {"idempotency_key": key, "created": now} for row in rows]
    )
    records = tuple(_record(item, row, now) for item, row in zip(items, rows, strict=True))
    history.append(
        connection,
        (FeedbackEvent(r.feedback_id, now, r.author, r.status, r.label) for r in records),
    )
    settle(connection, digests, records[0].author, now)
    return records


def first_reply(
    connection: Connection, author: str, key: str, body_sha256: str
) -> tuple[FeedbackRecord, ...] | None:
    """Return what was answered when an author first used a key, or None if he never did.

    The records are given as they stood then, queued, so that equal requests have equal replies.

    Raises:
        IdempotencyConflict: the key came with another body.
    """
    own = (submission.c.author == author, submission.c.idempotency_key == key)
    known = connection.execute(select(submission.c.body_sha256).where(*own)).scalar_one_or_none()
    if known is None:
        return None
    if known != body_sha256:
        raise IdempotencyConflict("the idempotency key was used before with another body")
    theirs = (feedback.c.author == author, feedback.c.idempotency_key == key)
    rows = select(feedback).where(*theirs).order_by(feedback.c.seq)
    return tuple(_as_posted(record_of(row)) for row in connection.execute(rows))


def _as_posted(record: FeedbackRecord) -> FeedbackRecord:
    return replace(
        record,
        status=FeedbackStatus.QUEUED,
        applied_version=None,
        reason=None,
        superseded_by=None,
    )


def _record(item: NewFeedback, row: Values, now: datetime) -> FeedbackRecord:
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
        author=str(row["author"]),
        source=None if row["source"] is None else str(row["source"]),
        superseded_by=None,
    )
