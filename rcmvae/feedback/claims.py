"""Lending corrections to workers: one statement takes them, a token fences the results.

A worker may be stopped at any point. Its lease then runs out, another worker claims the same
corrections under a new token, and whatever the first one still sends is refused. What it did not
report is marked `unreported`: a bundle may hold it or not, until another worker reports.
docs/decisions/0002-feedback-store.md states the rule.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, true, update

from rcmvae.errors import ClaimLost
from rcmvae.feedback.conflict import prevailing
from rcmvae.feedback.lives import Step, settle, statements
from rcmvae.feedback.lives import take as take_steps
from rcmvae.feedback.parts import parts
from rcmvae.feedback.postgresql import lock_lives
from rcmvae.feedback.record import Claim, Waiting
from rcmvae.feedback.rows import record_of, status_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import LEAVING, FeedbackStatus

_IS_QUEUED = feedback.c.status == FeedbackStatus.QUEUED.value
_IS_CLAIMED = feedback.c.status == FeedbackStatus.CLAIMED.value
_IS_LEAVING = feedback.c.status.in_(sorted(status.value for status in LEAVING))
_LENT = (FeedbackStatus.CLAIMED, FeedbackStatus.WITHDRAWING)
"""What something that was claimed may be while its claim holds."""
_SET_ASIDE = (FeedbackStatus.QUARANTINED, FeedbackStatus.REJECTED)
"""What is to be in no bundle, and leaves where a bundle perhaps holds it."""
_FACTS = (
    feedback.c.feedback_id,
    feedback.c.status,
    feedback.c.reason,
    feedback.c.applied_version,
    feedback.c.claimed_by,
    feedback.c.lease_expires,
    feedback.c.input_sha256,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of all that is due a claim takes.

    Args:
        skip_labels: corrections to these labels stay where they are.
        only_labels: corrections to all others stay, and what only leaves; None for all labels.
        up_to: what came after this place stays; None for all.
    """

    skip_labels: Collection[str]
    only_labels: Collection[str] | None
    up_to: int | None

    @property
    def is_labelled(self) -> ColumnElement[bool]:
        """By the label."""
        allowed = feedback.c.label.not_in(sorted(self.skip_labels))
        if self.only_labels is None:
            return allowed
        return and_(allowed, feedback.c.label.in_(sorted(self.only_labels)))

    @property
    def is_early(self) -> ColumnElement[bool]:
        """By the place."""
        return true() if self.up_to is None else feedback.c.seq <= self.up_to


def take(
    connection: Connection,
    worker: str,
    limit: int,
    now: datetime,
    expires: datetime,
    wanted: Wanted,
) -> Claim | None:
    """Claim the oldest corrections that are queued or whose lease has ended; None if none are.

    What a bundle has to lose comes with them: what they replace, and what is leaving, the latter
    unless only some labels are asked for.

    The candidates stand in a materialized table expression: PostgreSQL may otherwise evaluate the
    limit more than once and take more. SQLite ignores the row locks; its write lock does as much.
    """
    lock_lives(connection)
    _end_leases(connection, feedback.c.lease_expires <= now, now)
    token = uuid4().hex
    due = (
        select(feedback.c.seq)
        .where(_is_due(now), wanted.is_early, wanted.is_labelled)
        .order_by(feedback.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    lent = {"claim_token": token, "claimed_by": worker, "lease_expires": expires}
    statement = (
        update(feedback)
        .where(feedback.c.seq.in_(select(due.c.seq)))
        .values(status=FeedbackStatus.CLAIMED.value, **lent)
        .returning(feedback.c.input_sha256)
    )
    digests = set(connection.execute(statement).scalars())
    replaced = _replace(connection, digests, token, worker, now)
    if wanted.only_labels is None:
        leaving = select(feedback.c.seq).where(_may_leave(now), wanted.is_early)
        oldest = leaving.order_by(feedback.c.seq).limit(limit)
        connection.execute(update(feedback).where(feedback.c.seq.in_(oldest)).values(lent))
    for part in parts(replaced):
        connection.execute(update(feedback).where(feedback.c.feedback_id.in_(part)).values(lent))
    return _claim(connection, token, expires)


def _replace(
    connection: Connection, digests: Iterable[str], token: str, worker: str, now: datetime
) -> list[str]:
    """Settle the inputs of what was just claimed; ids of what a bundle holds in their stead.

    A claimed correction that does not prevail is from before inputs were settled.
    """
    settle(connection, digests, worker, now)
    own = select(feedback.c.feedback_id).where(feedback.c.claim_token == token, _IS_CLAIMED)
    mine = set(connection.execute(own).scalars())
    steps, replaced = list[Step](), list[str]()
    for said in statements(connection, digests).values():
        first = prevailing(said)
        detail, values = f"{first.feedback_id} prevails", {"superseded_by": first.feedback_id}
        steps.extend(
            Step(s.feedback_id, FeedbackStatus.REPLACED, detail, values)
            for s in said
            if s is not first and s.feedback_id in mine
        )
        if first.feedback_id in mine:
            replaced.extend(s.feedback_id for s in said if s.status is FeedbackStatus.APPLIED)
    take_steps(connection, steps, worker, now)
    return replaced


def _claim(connection: Connection, token: str, expires: datetime) -> Claim | None:
    query = select(feedback).where(feedback.c.claim_token == token).order_by(feedback.c.seq)
    rows = [(row.status, record_of(row)) for row in connection.execute(query)]
    claimed = FeedbackStatus.CLAIMED.value
    records = tuple(record for status, record in rows if status == claimed)
    subtract = tuple(record for status, record in rows if status != claimed)
    return Claim(token, expires, records, subtract) if rows else None


def last_place(connection: Connection) -> int:
    """The place of the newest correction, 0 without one."""
    return connection.execute(select(func.max(feedback.c.seq))).scalar_one() or 0


def count_waiting(connection: Connection, now: datetime) -> Waiting:
    """Count what `take` could take."""
    created = feedback.c.created
    columns = (func.count(), func.max(feedback.c.seq), func.min(created), func.max(created))
    row = connection.execute(select(*columns).where(_is_due(now))).one()
    leaving = connection.execute(select(func.count()).where(_may_leave(now))).scalar_one()
    return Waiting(int(row[0]), int(row[1] or 0), row[2], row[3], int(leaving))


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Queued, and nothing of the same input is lent: two jobs would undo each other's work."""
    # All that is lent is found once, by its index: little beside what may be queued.
    other = feedback.alias("other")
    lent = select(other.c.input_sha256).where(other.c.lease_expires > now)
    return and_(or_(_IS_QUEUED, _IS_CLAIMED), _is_free(now), feedback.c.input_sha256.not_in(lent))


def _may_leave(now: datetime) -> ColumnElement[bool]:
    set_aside_unreported = and_(
        feedback.c.unreported, feedback.c.status.in_([status.value for status in _SET_ASIDE])
    )
    return and_(or_(_IS_LEAVING, set_aside_unreported), _is_free(now))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(feedback.c.lease_expires.is_(None), feedback.c.lease_expires <= now)


def apply(
    connection: Connection,
    token: str,
    feedback_ids: Sequence[str],
    subtracted: Sequence[str],
    version: str,
    now: datetime,
) -> None:
    """State that a bundle holds some corrections and others no more, all or none.

    Saying the same twice is harmless, so that a worker which saw no answer may ask again.

    Raises:
        ClaimLost: one of them is not held under this token.
    """
    lock_lives(connection)
    rows = _held(connection, token, [*feedback_ids, *subtracted])
    gone_for_good = {"lease_expires": None, "unreported": False}
    final = gone_for_good | {"applied_version": version}
    added = [rows[name] for name in feedback_ids if not _is_applied(rows[name], version)]
    gone = [rows[name] for name in subtracted if rows[name].lease_expires is not None]
    _require_open(row for row in added if status_of(row.status) not in _LENT)
    # What was taken back meanwhile is in the bundle all the same, and leaves with the next one.
    steps = [Step(row.feedback_id, _added(row), version, final) for row in added]
    steps += [Step(row.feedback_id, _gone(row), f"not in {version}", gone_for_good) for row in gone]
    _finish(connection, steps, [*added, *gone], now)


def _is_applied(row: Row[Any], version: str) -> bool:
    return row.applied_version == version and row.lease_expires is None


def _added(row: Row[Any]) -> FeedbackStatus:
    status = status_of(row.status)
    return FeedbackStatus.APPLIED if status is FeedbackStatus.CLAIMED else status


def _gone(row: Row[Any]) -> FeedbackStatus:
    status = status_of(row.status)
    if status is FeedbackStatus.WITHDRAWING:
        return FeedbackStatus.WITHDRAWN
    # What prevails again meanwhile is queued already.
    stays = status in (*_SET_ASIDE, FeedbackStatus.QUEUED)
    return status if stays else FeedbackStatus.SUPERSEDED


def set_aside(
    connection: Connection,
    token: str,
    feedback_ids: Sequence[str],
    status: FeedbackStatus,
    reason: str,
    now: datetime,
) -> None:
    """Reject or quarantine claimed corrections, all or none; harmless to repeat.

    Raises:
        ClaimLost: one of them is not held under this token.
    """
    lock_lives(connection)
    rows = _held(connection, token, feedback_ids).values()
    still = [r for r in rows if (r.status, r.reason) != (status.value, reason)]
    _require_open(row for row in still if status_of(row.status) not in _LENT)
    # What was taken back meanwhile stays so.
    changed = [row for row in still if row.status == FeedbackStatus.CLAIMED.value]
    final = {"reason": reason, "lease_expires": None}
    steps = [Step(row.feedback_id, status, reason, final) for row in changed]
    _finish(connection, steps, changed, now)


def keep(
    connection: Connection, token: str, feedback_ids: Sequence[str], reason: str, now: datetime
) -> None:
    """State that corrections which were to leave stay in the bundle, all or none, and why.

    Raises:
        ClaimLost: one of them is not held under this token.
    """
    lock_lives(connection)
    rows = _held(connection, token, feedback_ids).values()
    final = {"reason": reason, "lease_expires": None, "superseded_by": None, "unreported": False}
    leaving = [row for row in rows if status_of(row.status) in (*LEAVING, *_SET_ASIDE)]
    steps = [Step(r.feedback_id, FeedbackStatus.APPLIED, reason, final) for r in leaving]
    # Not settled: the same refusal would come again at once.
    take_steps(connection, steps, _worker(leaving), now)


def renew(connection: Connection, token: str, expires: datetime) -> None:
    """Move the end of a lease.

    Raises:
        ClaimLost: nothing is claimed under this token any more.
    """
    lock_lives(connection)
    held = and_(feedback.c.claim_token == token, feedback.c.lease_expires.is_not(None))
    renewed = connection.execute(update(feedback).where(held).values(lease_expires=expires))
    if renewed.rowcount == 0:
        raise ClaimLost("nothing is claimed under this token any more")


def give_back(connection: Connection, token: str, now: datetime) -> None:
    """Queue again what is still claimed under a token; what was finished stays finished.

    Raises:
        ClaimLost: no correction carries this token any more.
    """
    lock_lives(connection)
    carried = feedback.c.claim_token == token
    first = connection.execute(select(feedback.c.claimed_by).where(carried).limit(1)).first()
    if first is None:
        raise ClaimLost("no correction carries this token any more")
    _end_leases(connection, carried, now)


def _end_leases(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """Take back what is lent and not reported: a bundle may hold it or not, whatever it was."""
    lent = and_(which, feedback.c.lease_expires.is_not(None))
    query = select(feedback.c.claimed_by, feedback.c.input_sha256).where(lent)
    digests: dict[str, set[str]] = {}
    for row in connection.execute(query):
        digests.setdefault(row.claimed_by, set()).add(row.input_sha256)
    if not digests:
        return
    queued = case((_IS_CLAIMED, FeedbackStatus.QUEUED.value), else_=feedback.c.status)
    free = {"claim_token": None, "claimed_by": None, "lease_expires": None, "unreported": True}
    connection.execute(update(feedback).where(lent).values(status=queued, **free))
    for worker, theirs in digests.items():
        settle(connection, theirs, worker, now)


def _finish(
    connection: Connection, steps: Sequence[Step], rows: Sequence[Row[Any]], now: datetime
) -> None:
    if not rows:
        return
    take_steps(connection, steps, _worker(rows), now)
    settle(connection, {row.input_sha256 for row in rows}, _worker(rows), now)


def _worker(rows: Sequence[Row[Any]]) -> str:
    return str(rows[0].claimed_by) if rows else ""


def _held(connection: Connection, token: str, feedback_ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for part in parts(list(dict.fromkeys(feedback_ids))):
        query = select(*_FACTS).where(
            feedback.c.feedback_id.in_(part), feedback.c.claim_token == token
        )
        found |= {row.feedback_id: row for row in connection.execute(query.with_for_update())}
    _require_none(sorted(set(feedback_ids) - found.keys()))
    return {name: found[name] for name in feedback_ids}


def _require_open(rows: Iterable[Row[Any]]) -> None:
    _require_none(sorted(row.feedback_id for row in rows))


def _require_none(lost: Sequence[str]) -> None:
    if lost:
        raise ClaimLost(f"{len(lost)} of the claimed corrections went to another, first {lost[0]}")
