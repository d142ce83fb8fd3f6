"""What became of corrections, one line for every change; lines are never changed or deleted."""

from collections.abc import Iterable
from dataclasses import asdict, replace

from sqlalchemy import Connection, case, func, insert, select

from rcmvae.feedback.record import FeedbackEvent
from rcmvae.feedback.rows import event_of
from rcmvae.feedback.schema import feedback, feedback_event
from rcmvae.feedback.status import FeedbackStatus

_LONGEST_DETAIL = 500

ACCEPTED = "accepted"
"""Detail of the line that says that a person took a correction out of quarantine."""


def append(connection: Connection, events: Iterable[FeedbackEvent]) -> None:
    """Add lines, in order; a long detail is cut."""
    cut = (replace(e, detail=e.detail and e.detail[:_LONGEST_DETAIL]) for e in events)
    rows = [asdict(event) | {"status": event.status.value} for event in cut]
    if rows:
        connection.execute(insert(feedback_event), rows)


def of_feedback(connection: Connection, feedback_id: str) -> tuple[FeedbackEvent, ...]:
    """All lines of one correction, oldest first."""
    query = select(feedback_event).where(feedback_event.c.feedback_id == feedback_id)
    return tuple(event_of(row) for row in connection.execute(query.order_by(feedback_event.c.seq)))


def set_aside(connection: Connection, author: str, reason: str) -> frozenset[str]:
    """Ids of an author's corrections that were ever quarantined for a reason that begins so."""
    query = (
        select(feedback.c.feedback_id)
        .join(feedback_event, feedback_event.c.feedback_id == feedback.c.feedback_id)
        .where(
            feedback.c.author == author,
            feedback_event.c.status == FeedbackStatus.QUARANTINED.value,
            feedback_event.c.detail.startswith(reason, autoescape=True),
        )
    )
    return frozenset(connection.execute(query).scalars())


def accepted(connection: Connection) -> frozenset[str]:
    """Ids of corrections that a person ever took out of quarantine."""
    # The line of a posted label has the label as its detail, and one may be called "accepted".
    posted = case((feedback.c.label == ACCEPTED, 1), else_=0)
    query = (
        select(feedback.c.feedback_id)
        .join(feedback_event, feedback_event.c.feedback_id == feedback.c.feedback_id)
        .where(
            feedback_event.c.status == FeedbackStatus.QUEUED.value,
            feedback_event.c.detail == ACCEPTED,
        )
        .group_by(feedback.c.feedback_id, feedback.c.label)
        .having(func.count() > posted)
    )
    return frozenset(connection.execute(query).scalars())
