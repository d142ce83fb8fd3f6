"""Inputs that people disagree about, newest voice first."""

from sqlalchemy import ColumnElement, Connection, func, select

from rcmvae.feedback import lives
from rcmvae.feedback.conflict import prevailing, voices
from rcmvae.feedback.parts import parts
from rcmvae.feedback.record import Dispute, DisputePage, FeedbackRecord
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import COUNTING


def page(connection: Connection, limit: int, before: int | None) -> DisputePage:
    """The disputes that were spoken in last, or last before a place in the order of posting."""
    counting = feedback.c.status.in_(sorted(status.value for status in COUNTING))
    voice = select(func.max(feedback.c.seq)).where(counting)
    voice = voice.group_by(feedback.c.input_sha256, feedback.c.author)
    last: ColumnElement[int] = func.max(feedback.c.seq)
    disputed = [func.count(feedback.c.label.distinct()) > 1]
    if before is not None:
        disputed.append(last < before)
    query = (
        select(feedback.c.input_sha256, last)
        .where(feedback.c.seq.in_(voice))
        .group_by(feedback.c.input_sha256)
        .having(*disputed)
        .order_by(last.desc())
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    digests = [row.input_sha256 for row in rows[:limit]]
    following = int(rows[limit - 1][1]) if len(rows) > limit else None
    return DisputePage(_disputes(connection, digests), following)


def _disputes(connection: Connection, digests: list[str]) -> tuple[Dispute, ...]:
    said = lives.statements(connection, digests)
    heard = {digest: voices(said[digest]) for digest in digests}
    records = _records(connection, [one.feedback_id for each in heard.values() for one in each])
    return tuple(
        Dispute(
            prevailing(said[digest]).label,
            tuple(records[voice.feedback_id] for voice in reversed(heard[digest])),
        )
        for digest in digests
    )


def _records(connection: Connection, feedback_ids: list[str]) -> dict[str, FeedbackRecord]:
    found: dict[str, FeedbackRecord] = {}
    for part in parts(feedback_ids):
        query = select(feedback).where(feedback.c.feedback_id.in_(part))
        found |= {row.feedback_id: record_of(row) for row in connection.execute(query)}
    return found
