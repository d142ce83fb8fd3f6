"""Putting corrections in, once for each idempotency key, many submissions by one commit."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from rcmvae.errors import IdempotencyConflict, IdempotencyInFlight
from rcmvae.feedback import history
from rcmvae.feedback.lives import settle
from rcmvae.feedback.parts import parts
from rcmvae.feedback.postgresql import lock_inputs
from rcmvae.feedback.record import FeedbackEvent, FeedbackRecord, NewFeedback, Submission
from rcmvae.feedback.rows import input_columns, record_of
from rcmvae.feedback.schema import feedback, submission
from rcmvae.feedback.status import FeedbackStatus

Values = dict[str, object]
"""Columns of one row, as SQLAlchemy takes them."""
Outcome = tuple[FeedbackRecord, ...] | IdempotencyConflict | IdempotencyInFlight
"""What a submission gets: its corrections as they were posted, or why there are none."""


def feedback_rows(submitted: Submission) -> list[Values]:
    """Rows of a submission, before the transaction: to pack the inputs takes longer than to insert.

    The time is left out, which only the transaction knows.
    """
    return [
        {
            "feedback_id": uuid4().hex,
            "author": submitted.author,
            "source": submitted.source,
            "idempotency_key": submitted.idempotency_key,
            "label": item.label,
            "prediction_id": item.prediction_id,
            "bundle_version": item.bundle_version,
            "status": FeedbackStatus.QUEUED.value,
            **input_columns(item.input),
        }
        for item in submitted.items
    ]


def insert_together(
    connection: Connection,
    group: Sequence[Submission],
    rows: Sequence[Sequence[Values]],
    now: datetime,
    busy: Collection[tuple[str, str]] = (),
) -> tuple[Outcome, ...]:
    """Insert what submissions say, in order; corrections are returned as they were posted: queued.

    Those that do not prevail are superseded by the time the transaction ends.

    Args:
        connection: in a transaction that holds the keys (`postgresql.lock_keys`).
        group: the submissions.
        rows: of each, as `feedback_rows` makes them.
        now: when they were posted.
        busy: authors and keys that others use now; what comes under them is left out.
    """
    known = _first_replies(connection, group)
    new: list[Submission] = []
    new_rows: list[Values] = []
    outcomes: list[Outcome] = []
    for submitted, own in zip(group, rows, strict=True):
        key = (submitted.author, submitted.idempotency_key)
        if key in busy:
            outcomes.append(IdempotencyInFlight("the first request with this key is not done yet"))
            continue
        if key in known:
            body, records = known[key]
            outcomes.append(records if body == submitted.body_sha256 else _conflict())
            continue
        pairs = zip(submitted.items, own, strict=True)
        records = tuple(_record(item, row, now) for item, row in pairs)
        outcomes.append(records)
        new.append(submitted)
        new_rows.extend(row | {"created": now} for row in own)
        if submitted.idempotency_key is not None:
            known[key] = str(submitted.body_sha256), records
    _open_submissions(connection, new, now)
    _insert_feedback(connection, new_rows, now)
    return tuple(outcomes)


def _open_submissions(connection: Connection, group: Sequence[Submission], now: datetime) -> None:
    """Take the authors' idempotency keys, which nobody has."""
    values = [
        {
            "author": each.author,
            "idempotency_key": each.idempotency_key,
            "body_sha256": each.body_sha256,
            "created": now,
        }
        for each in group
        if each.idempotency_key is not None
    ]
    if values:
        connection.execute(insert(submission), values)


def _insert_feedback(connection: Connection, rows: Sequence[Values], now: datetime) -> None:
    if not rows:
        return
    # Who said the last thing of an input is who caused what becomes of the others.
    actors = {str(row["input_sha256"]): str(row["author"]) for row in rows}
    lock_inputs(connection, actors)
    connection.execute(insert(feedback), rows)
    queued = FeedbackStatus.QUEUED
    history.append(
        connection,
        (
            FeedbackEvent(
                str(row["feedback_id"]), now, str(row["author"]), queued, str(row["label"])
            )
            for row in rows
        ),
    )
    for actor in sorted(set(actors.values())):
        settle(connection, [digest for digest, who in actors.items() if who == actor], actor, now)


def _first_replies(
    connection: Connection, group: Sequence[Submission]
) -> dict[tuple[str, str | None], tuple[str, tuple[FeedbackRecord, ...]]]:
    """Body and reply of the first use of those keys of a group that were used before."""
    by_author: dict[str, list[str]] = {}
    for each in group:
        if each.idempotency_key is not None:
            by_author.setdefault(each.author, []).append(each.idempotency_key)
    found: dict[tuple[str, str | None], tuple[str, tuple[FeedbackRecord, ...]]] = {}
    columns = submission.c.idempotency_key, submission.c.body_sha256
    for author, keys in by_author.items():
        for part in parts(sorted(set(keys))):
            own = (submission.c.author == author, submission.c.idempotency_key.in_(part))
            for key, body in connection.execute(select(*columns).where(*own)).all():
                found[author, key] = body, _posted_under(connection, author, key)
    return found


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
        raise _conflict()
    return _posted_under(connection, author, key)


def _posted_under(connection: Connection, author: str, key: str) -> tuple[FeedbackRecord, ...]:
    theirs = (feedback.c.author == author, feedback.c.idempotency_key == key)
    rows = select(feedback).where(*theirs).order_by(feedback.c.seq)
    return tuple(_as_posted(record_of(row)) for row in connection.execute(rows))


def _conflict() -> IdempotencyConflict:
    return IdempotencyConflict("the idempotency key was used before with another body")


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
