"""Corrections page by page, newest first."""

from sqlalchemy import Connection, select

from rcmvae.feedback.record import FeedbackFilter, FeedbackPage
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback


def page(
    connection: Connection, which: FeedbackFilter, limit: int, before: int | None
) -> FeedbackPage:
    """The newest corrections of a filter, or the newest before a place in the order of posting."""
    wanted = {
        feedback.c.status: which.status and which.status.value,
        feedback.c.label: which.label,
        feedback.c.author: which.author,
    }
    query = select(feedback).where(
        *(column == value for column, value in wanted.items() if value is not None)
    )
    if before is not None:
        query = query.where(feedback.c.seq < before)
    rows = connection.execute(query.order_by(feedback.c.seq.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    following = int(shown[-1].seq) if len(rows) > limit else None
    return FeedbackPage(tuple(record_of(row) for row in shown), following)
