"""After the pointer moved by hand: what every correction is to the bundle that is served now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from rcmvae.feedback.lives import Step, settle, take
from rcmvae.feedback.rows import status_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import FeedbackStatus

_COMES_BACK = {
    FeedbackStatus.QUARANTINED: FeedbackStatus.APPLIED,
    FeedbackStatus.QUEUED: FeedbackStatus.APPLIED,
    FeedbackStatus.SUPERSEDED: FeedbackStatus.REPLACED,
    FeedbackStatus.WITHDRAWN: FeedbackStatus.WITHDRAWING,
    FeedbackStatus.REJECTED: FeedbackStatus.WITHDRAWING,
}
"""What becomes of a correction that no bundle was to hold and that this one holds: what a person
took back leaves with the next job."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a move of the pointer changed.

    Attributes:
        quarantined: ids that the bundle does not hold though they were applied.
        applied: ids that it holds though they were not.
    """

    quarantined: tuple[str, ...]
    applied: tuple[str, ...]


def reconcile(
    connection: Connection,
    held: Collection[str],
    version: str,
    actor: str,
    reason: str,
    now: datetime,
) -> Reconciled:
    """State of every correction what is true of a bundle.

    Corrections that are lent are left to who holds them.

    Args:
        connection: in a transaction that holds all lives.
        held: ids in the label map of the bundle.
        version: of the bundle.
        actor: for the history.
        reason: of the quarantine.
        now: for the history.
    """
    columns = (
        feedback.c.feedback_id,
        feedback.c.status,
        feedback.c.lease_expires,
        feedback.c.input_sha256,
    )
    steps: list[Step] = []
    digests: set[str] = set()
    for row in connection.execute(select(*columns).order_by(feedback.c.seq)):
        if row.lease_expires is not None:
            continue
        status = status_of(row.status)
        if row.feedback_id in held and status in _COMES_BACK:
            values = {"applied_version": version, "reason": None, "unreported": False}
            steps.append(Step(row.feedback_id, _COMES_BACK[status], version, values))
        elif row.feedback_id not in held and status is FeedbackStatus.APPLIED:
            values = {"applied_version": None, "reason": reason, "unreported": False}
            steps.append(Step(row.feedback_id, FeedbackStatus.QUARANTINED, reason, values))
        else:
            continue
        digests.add(row.input_sha256)
    take(connection, steps, actor, now)
    settle(connection, digests, actor, now)
    ids = {
        status: tuple(s.feedback_id for s in steps if s.status is status)
        for status in FeedbackStatus
    }
    return Reconciled(ids[FeedbackStatus.QUARANTINED], ids[FeedbackStatus.APPLIED])
