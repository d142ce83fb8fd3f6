"""From one status to the next: every change that is more than a claim, with its line of history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from rcmvae.errors import FeedbackNotFound
from rcmvae.feedback import history
from rcmvae.feedback.conflict import Statement, settled
from rcmvae.feedback.parts import parts
from rcmvae.feedback.postgresql import lock_lives
from rcmvae.feedback.record import FeedbackEvent
from rcmvae.feedback.rows import status_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import COUNTING, FeedbackStatus

_TAKEN_BACK: Mapping[FeedbackStatus, FeedbackStatus] = {
    FeedbackStatus.CLAIMED: FeedbackStatus.WITHDRAWING,
    FeedbackStatus.APPLIED: FeedbackStatus.WITHDRAWING,
    FeedbackStatus.REPLACED: FeedbackStatus.WITHDRAWING,
    # One that the gate holds may be in a bundle that a person promotes.
    FeedbackStatus.QUARANTINED: FeedbackStatus.WITHDRAWING,
    FeedbackStatus.WITHDRAWING: FeedbackStatus.WITHDRAWING,
}
"""What becomes of what a bundle may hold, besides what is unreported; all else is withdrawn at
once."""


@dataclass(frozen=True, slots=True)
class Step:
    """One correction's next status.

    Args:
        feedback_id: of the correction.
        status: the next one.
        detail: for the history.
        values: other columns to set.
        is_told: whether the history gets a line.
    """

    feedback_id: str
    status: FeedbackStatus
    detail: str | None
    values: Mapping[str, object]
    is_told: bool = True


def take(connection: Connection, steps: Sequence[Step], actor: str, now: datetime) -> None:
    """Take steps, in order, and write them down."""
    by_columns = groupby(steps, key=lambda step: tuple(step.values))
    for columns, group in by_columns:
        rows = [
            {"which": s.feedback_id, "next_status": s.status.value}
            | {f"next_{name}": value for name, value in s.values.items()}
            for s in group
        ]
        values: dict[str, object] = {
            name: bindparam(f"next_{name}") for name in ("status", *columns)
        }
        which = feedback.c.feedback_id == bindparam("which")
        connection.execute(update(feedback).where(which).values(values), rows)
    told = (step for step in steps if step.is_told)
    history.append(
        connection, (FeedbackEvent(s.feedback_id, now, actor, s.status, s.detail) for s in told)
    )


def settle(
    connection: Connection, digests: Iterable[str], actor: str, now: datetime
) -> dict[str, tuple[Statement, ...]]:
    """Let the prevailing correction of each input prevail.

    Args:
        connection: in a transaction that holds the inputs (`postgresql.lock_inputs`) or all lives.
        digests: hashes of the inputs.
        actor: who caused it, for the history.
        now: for the history.

    Returns:
        What was said about each input, as it was before.
    """
    said = statements(connection, digests)
    changes = [change for found in said.values() for change in settled(found)]
    take(
        connection,
        [
            Step(
                change.statement.feedback_id,
                change.status,
                change.superseded_by and f"{change.superseded_by} prevails",
                {"superseded_by": change.superseded_by},
                is_told=change.status is not change.statement.status,
            )
            for change in changes
        ],
        actor,
        now,
    )
    return said


def statements(connection: Connection, digests: Iterable[str]) -> dict[str, tuple[Statement, ...]]:
    """What counts for inputs, by their hashes; an input of which nothing counts is left out."""
    columns = (
        feedback.c.seq,
        feedback.c.feedback_id,
        feedback.c.author,
        feedback.c.label,
        feedback.c.status,
        feedback.c.superseded_by,
        feedback.c.unreported,
        feedback.c.input_sha256,
    )
    counting = feedback.c.status.in_(sorted(status.value for status in COUNTING))
    rows: list[Row[Any]] = []
    for part in parts(sorted(set(digests))):
        query = select(*columns).where(feedback.c.input_sha256.in_(part), counting)
        rows.extend(connection.execute(query.order_by(feedback.c.input_sha256, feedback.c.seq)))
    groups = groupby(rows, key=attrgetter("input_sha256"))
    return {digest: tuple(_statement(row) for row in group) for digest, group in groups}


def _statement(row: Row[Any]) -> Statement:
    return Statement(
        row.seq,
        row.feedback_id,
        row.author,
        row.label,
        status_of(row.status),
        row.superseded_by,
        row.unreported,
    )


def withdraw(
    connection: Connection, feedback_id: str, actor: str, reason: str | None, now: datetime
) -> None:
    """Take a correction back; a second time changes nothing.

    What prevails now instead is queued again.

    Raises:
        FeedbackNotFound: no such id.
    """
    lock_lives(connection)
    row = find(connection, feedback_id)
    status = status_of(row.status)
    following = _TAKEN_BACK.get(status, FeedbackStatus.WITHDRAWN)
    if row.unreported:
        following = FeedbackStatus.WITHDRAWING
    if following is status:
        return
    values = {"reason": reason, "superseded_by": None}
    take(connection, [Step(feedback_id, following, reason, values)], actor, now)
    settle(connection, [row.input_sha256], actor, now)


def accept(connection: Connection, feedback_id: str, actor: str, now: datetime) -> None:
    """Queue a quarantined correction again; any other stays as it is.

    Raises:
        FeedbackNotFound: no such id.
    """
    lock_lives(connection)
    row = find(connection, feedback_id)
    if status_of(row.status) is not FeedbackStatus.QUARANTINED:
        return
    step = Step(feedback_id, FeedbackStatus.QUEUED, history.ACCEPTED, {"reason": None})
    take(connection, [step], actor, now)
    settle(connection, [row.input_sha256], actor, now)


def find(connection: Connection, feedback_id: str) -> Row[Any]:
    """The row of a correction.

    Raises:
        FeedbackNotFound: no such id.
    """
    query = select(feedback).where(feedback.c.feedback_id == feedback_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise FeedbackNotFound("no feedback has this id")
    return row
