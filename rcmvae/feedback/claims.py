"""Lending corrections to workers: one statement takes them, a token fences the results.

A worker may be stopped at any point. Its lease then runs out, another worker claims the same
corrections under a new token, and whatever the first one still sends is refused.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, update

from rcmvae.errors import ClaimLost
from rcmvae.feedback.record import Claim, FeedbackStatus, Waiting
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback

_IS_QUEUED = feedback.c.status == FeedbackStatus.QUEUED.value
_IS_CLAIMED = feedback.c.status == FeedbackStatus.CLAIMED.value


def take(
    connection: Connection,
    worker: str,
    limit: int,
    now: datetime,
    expires: datetime,
    skip_labels: Collection[str],
) -> Claim | None:
    """Claim the oldest corrections that are queued or whose lease has ended; None if none are.

    The candidates stand in a materialized table expression: PostgreSQL may otherwise evaluate the
    limit more than once and take more. SQLite ignores the row locks; its write lock does as much.
    """
    due = (
        select(feedback.c.seq)
        .where(_is_due(now), feedback.c.label.not_in(sorted(skip_labels)))
        .order_by(feedback.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    token = uuid4().hex
    statement = (
        update(feedback)
        .where(feedback.c.seq.in_(select(due.c.seq)))
        .values(
            status=FeedbackStatus.CLAIMED.value,
            claim_token=token,
            claimed_by=worker,
            lease_expires=expires,
        )
        .returning(feedback)
    )
    rows = sorted(connection.execute(statement), key=lambda row: int(row.seq))
    return Claim(token, expires, tuple(record_of(row) for row in rows)) if rows else None


def count_waiting(connection: Connection, now: datetime) -> Waiting:
    """Count what `take` could take."""
    created = feedback.c.created
    columns = (func.count(), func.max(feedback.c.seq), func.min(created), func.max(created))
    row = connection.execute(select(*columns).where(_is_due(now))).one()
    return Waiting(int(row[0]), int(row[1] or 0), row[2], row[3])


def _is_due(now: datetime) -> ColumnElement[bool]:
    return or_(_IS_QUEUED, and_(_IS_CLAIMED, feedback.c.lease_expires <= now))


def finish(
    connection: Connection,
    token: str,
    feedback_ids: Sequence[str],
    status: FeedbackStatus,
    *,
    applied_version: str | None = None,
    reason: str | None = None,
) -> None:
    """Give claimed corrections their final status, all or none.

    Saying the same twice is harmless, so that a worker which saw no answer may ask again.

    Raises:
        ClaimLost: one of them is not held under this token.
    """
    final = {"status": status.value, "applied_version": applied_version, "reason": reason}
    done = and_(*(feedback.c[name].is_not_distinct_from(value) for name, value in final.items()))
    held = _held(connection, token, or_(_IS_CLAIMED, done))
    lost = sorted(set(feedback_ids) - held)
    if lost:
        raise ClaimLost(f"{len(lost)} of the claimed corrections went to another, first {lost[0]}")
    if not feedback_ids:
        return
    statement = update(feedback).where(feedback.c.feedback_id == bindparam("held_id"))
    rows = [{"held_id": feedback_id} for feedback_id in feedback_ids]
    connection.execute(statement.values(**final, lease_expires=None), rows)


def renew(connection: Connection, token: str, expires: datetime) -> None:
    """Move the end of a lease.

    Raises:
        ClaimLost: nothing is claimed under this token any more.
    """
    held = and_(feedback.c.claim_token == token, _IS_CLAIMED)
    renewed = connection.execute(update(feedback).where(held).values(lease_expires=expires))
    if renewed.rowcount == 0:
        raise ClaimLost("nothing is claimed under this token any more")


def give_back(connection: Connection, token: str) -> None:
    """Queue again what is still claimed under a token; what was finished stays finished.

    Raises:
        ClaimLost: no correction carries this token any more.
    """
    if not _held(connection, token, feedback.c.claim_token == token):
        raise ClaimLost("no correction carries this token any more")
    held = and_(feedback.c.claim_token == token, _IS_CLAIMED)
    connection.execute(
        update(feedback)
        .where(held)
        .values(
            status=FeedbackStatus.QUEUED.value,
            claim_token=None,
            claimed_by=None,
            lease_expires=None,
        )
    )


def _held(connection: Connection, token: str, condition: ColumnElement[bool]) -> set[str]:
    query = select(feedback.c.feedback_id).where(feedback.c.claim_token == token, condition)
    return set(connection.execute(query.with_for_update()).scalars())
