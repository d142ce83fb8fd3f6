"""What the page's picture shows of the store: kept captures by their order, and labels by input."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from rcmvae.feedback.parts import parts
from rcmvae.feedback.record import Capture
from rcmvae.feedback.rows import capture_of, record_of
from rcmvae.feedback.schema import capture, feedback
from rcmvae.feedback.status import STANDING


@dataclass(frozen=True, slots=True)
class Span:
    """Which captures are kept: from ``first`` to ``last``, both included; empty where last < first.

    Attributes:
        first: place of the oldest in the order in which captures came, from 1.
        last: place of the newest.
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PlacedCapture:
    """A capture, and its place in the order in which captures came."""

    place: int
    capture: Capture
    input_sha256: str


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label that stands: what a person said about an input, without the input itself."""

    feedback_id: str
    label: str
    input_sha256: str
    created: datetime
    bundle_version: str | None


def capture_span(connection: Connection) -> Span:
    """Where the kept captures begin and end."""
    first, last = connection.execute(select(func.min(capture.c.seq), func.max(capture.c.seq))).one()
    return Span(1, 0) if last is None else Span(int(first), int(last))


def captures_after(connection: Connection, place: int, limit: int) -> tuple[PlacedCapture, ...]:
    """The captures after a place, oldest first, at most ``limit``.

    Where transactions run beside each other (PostgreSQL), one that commits late may have a place
    before one that is returned already, and is missed by whoever goes on from there.
    """
    query = select(capture).where(capture.c.seq > place).order_by(capture.c.seq).limit(limit)
    return tuple(
        PlacedCapture(row.seq, capture_of(row), row.input_sha256)
        for row in connection.execute(query)
    )


def given_labels(connection: Connection, limit: int) -> tuple[GivenLabel, ...]:
    """The newest labels that are or will be part of a bundle, newest first, at most ``limit``."""
    columns = (
        feedback.c.feedback_id,
        feedback.c.label,
        feedback.c.input_sha256,
        feedback.c.created,
        feedback.c.bundle_version,
    )
    query = (
        select(*columns)
        .where(feedback.c.status.in_([status.value for status in STANDING]))
        .order_by(feedback.c.seq.desc())
        .limit(limit)
    )
    return tuple(GivenLabel(*row) for row in connection.execute(query))


def labelled_inputs(
    connection: Connection, feedback_ids: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """The inputs of corrections by id; an id that is not there is left out."""
    found: dict[str, NDArray[np.float32]] = {}
    for part in parts(list(dict.fromkeys(feedback_ids))):
        query = select(feedback).where(feedback.c.feedback_id.in_(part))
        found |= {row.feedback_id: record_of(row).input for row in connection.execute(query)}
    return found
