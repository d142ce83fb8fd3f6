"""What became of corrections, one line for every change; lines are never changed or deleted."""

from collections.abc import Iterable
from dataclasses import asdict, replace

from sqlalchemy import Connection, insert, select

from rcmvae.feedback.record import FeedbackEvent
from rcmvae.feedback.rows import event_of
from rcmvae.feedback.schema import feedback_event

_LONGEST_DETAIL = 500


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
