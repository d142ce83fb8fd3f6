"""Inputs of past predictions, kept in bounded number until a correction names them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from rcmvae.errors import PredictionNotFound
from rcmvae.feedback.parts import parts
from rcmvae.feedback.record import Capture
from rcmvae.feedback.rows import capture_of, input_columns
from rcmvae.feedback.schema import capture, feedback


def insert_captures(connection: Connection, captures: Sequence[Capture]) -> None:
    """Insert captures, in order; one that is there already, or comes twice, stays as first seen."""
    first_seen = {item.prediction_id: item for item in reversed(captures)}
    known = _known(connection, list(first_seen))
    ordered = dict.fromkeys(item.prediction_id for item in captures)
    rows = [_values(first_seen[name]) for name in ordered if name not in known]
    if rows:
        connection.execute(insert(capture), rows)


def find_capture(connection: Connection, prediction_id: str) -> Capture:
    """Return the capture of a prediction.

    Raises:
        PredictionNotFound: never captured, or trimmed since.
    """
    query = select(capture).where(capture.c.prediction_id == prediction_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise PredictionNotFound("no input is kept for this prediction id")
    return capture_of(row)


def find_captures(connection: Connection, prediction_ids: Iterable[str]) -> dict[str, Capture]:
    """Return the captures of predictions by id; an id that is not kept is left out."""
    found: dict[str, Capture] = {}
    for part in parts(list(dict.fromkeys(prediction_ids))):
        query = select(capture).where(capture.c.prediction_id.in_(part))
        found |= {row.prediction_id: capture_of(row) for row in connection.execute(query)}
    return found


def newest_without_feedback(connection: Connection, limit: int) -> tuple[Capture, ...]:
    """The newest captures for which there is no feedback, by id or by input; an input comes once.

    Args:
        connection: in a transaction.
        limit: at most so many captures are read.
    """
    named = select(feedback.c.prediction_id).where(feedback.c.prediction_id.is_not(None))
    query = (
        select(capture)
        .where(capture.c.prediction_id.not_in(named))
        .where(capture.c.input_sha256.not_in(select(feedback.c.input_sha256)))
        .order_by(capture.c.seq.desc())
        .limit(limit)
    )
    newest = {row.input_sha256: row for row in reversed(connection.execute(query).all())}
    ordered = sorted(newest.values(), key=lambda row: row.seq, reverse=True)
    return tuple(capture_of(row) for row in ordered)


def delete_oldest(connection: Connection, keep: int) -> int:
    """Delete all but the newest ``keep`` captures and return how many went."""
    newest_to_go = select(capture.c.seq).order_by(capture.c.seq.desc()).offset(keep).limit(1)
    last = connection.execute(newest_to_go).scalar_one_or_none()
    if last is None:
        return 0
    return connection.execute(delete(capture).where(capture.c.seq <= last)).rowcount


def delete_before(connection: Connection, oldest: datetime, now: datetime) -> int:
    """Delete the captures that came before the first one that is young enough.

    They come in about the order of their times; so nothing is looked at but what goes. One that
    came late, from another worker, goes with the next one that is old. One that a clock far ahead
    has written says nothing of its age, and does not keep those behind it.

    Args:
        connection: in a transaction.
        oldest: the time of the oldest that stays, aware.
        now: the time.

    Returns:
        How many went.
    """
    young = select(capture.c.seq).where(capture.c.created.between(oldest, now + (now - oldest)))
    first = connection.execute(young.order_by(capture.c.seq).limit(1)).scalar_one_or_none()
    old = delete(capture) if first is None else delete(capture).where(capture.c.seq < first)
    return connection.execute(old).rowcount


def _known(connection: Connection, names: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in parts(names):
        query = select(capture.c.prediction_id).where(capture.c.prediction_id.in_(part))
        known.update(connection.execute(query).scalars())
    return known


def _values(item: Capture) -> dict[str, object]:
    return {
        "prediction_id": item.prediction_id,
        "bundle_version": item.bundle_version,
        "created": item.created,
        **input_columns(item.input),
    }
