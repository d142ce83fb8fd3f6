"""Inputs that people disagree about, newest voice first."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, func, select

from rcmvae.feedback import lives
from rcmvae.feedback.conflict import prevailing, voices
from rcmvae.feedback.parts import parts
from rcmvae.feedback.record import Dispute, DisputePage, FeedbackRecord
from rcmvae.feedback.rows import record_of
from rcmvae.feedback.schema import feedback
from rcmvae.feedback.status import COUNTING, FeedbackStatus

_CONTESTED = COUNTING - {FeedbackStatus.APPLIED}
"""Of several statements of an input at most one stays applied, but for one that waits to prevail
over it: every dispute has a statement of another status. There are few of them, for an index."""


def page(connection: Connection, limit: int, before: int | None) -> DisputePage:
    """The disputes that were spoken in last, or last before a place in the order of posting."""
    found: list[tuple[str, int]] = []
    for one in _spoken_in(connection, limit + 1, before):
        found.append(one)
        if len(found) > limit:
            break
    shown = found[:limit]
    following = shown[-1][1] if len(found) > limit else None
    return DisputePage(_disputes(connection, [digest for digest, _ in shown]), following)


def _spoken_in(connection: Connection, chunk: int, before: int | None) -> Iterator[tuple[str, int]]:
    """Inputs that people disagree about, and when somebody spoke last; the latest first."""
    while True:
        rows = _candidates(connection, chunk, before)
        said = lives.statements(connection, [digest for digest, _ in rows])
        for digest, last in rows:
            # Of several labels some may be what an author said before he changed his mind.
            if len({voice.label for voice in voices(said[digest])}) > 1:
                yield digest, last
        if len(rows) < chunk:
            return
        before = rows[-1][1]


def _candidates(connection: Connection, chunk: int, before: int | None) -> list[tuple[str, int]]:
    """Inputs of which several authors ever said several things that count, the latest first.

    Found from the statements that are contested: most feedback is applied and undisputed.
    """
    contested = select(feedback.c.input_sha256).where(_has_status(_CONTESTED)).distinct().subquery()
    last: ColumnElement[int] = func.max(feedback.c.seq)
    several = [func.count(feedback.c[name].distinct()) > 1 for name in ("author", "label")]
    if before is not None:
        several.append(last < before)
    query = (
        select(feedback.c.input_sha256, last)
        .join(contested, contested.c.input_sha256 == feedback.c.input_sha256)
        .where(_has_status(COUNTING))
        .group_by(feedback.c.input_sha256)
        .having(*several)
        .order_by(last.desc())
        .limit(chunk)
    )
    return [(str(digest), int(seq)) for digest, seq in connection.execute(query)]


def _has_status(statuses: frozenset[FeedbackStatus]) -> ColumnElement[bool]:
    return feedback.c.status.in_(sorted(status.value for status in statuses))


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
