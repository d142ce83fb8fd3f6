"""Rows of the tables, to and from records."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback.record import Capture, FeedbackEvent, FeedbackRecord
from rcmvae.feedback.status import FeedbackStatus
from rcmvae.feedback.stored_input import StoredInput, decode, encode


def record_of(row: Row[Any]) -> FeedbackRecord:
    """Read a row of the table feedback.

    Raises:
        StoreUnavailable: the row is damaged, or a newer version of this code wrote it.
    """
    return FeedbackRecord(
        feedback_id=row.feedback_id,
        label=row.label,
        input=_input_of(row, row.feedback_id),
        prediction_id=row.prediction_id,
        status=status_of(row.status),
        created=row.created,
        applied_version=row.applied_version,
        reason=row.reason,
        bundle_version=row.bundle_version,
        input_sha256=row.input_sha256,
        author=row.author,
        source=row.source,
        superseded_by=row.superseded_by,
    )


def event_of(row: Row[Any]) -> FeedbackEvent:
    """Read a row of the table feedback_event.

    Raises:
        StoreUnavailable: a newer version of this code wrote it.
    """
    return FeedbackEvent(row.feedback_id, row.created, row.actor, status_of(row.status), row.detail)


def capture_of(row: Row[Any]) -> Capture:
    """Read a row of the table capture.

    Raises:
        StoreUnavailable: the row is damaged.
    """
    return Capture(
        row.prediction_id, _input_of(row, row.prediction_id), row.bundle_version, row.created
    )


def input_columns(array: NDArray[np.float32]) -> dict[str, object]:
    """Return the columns that hold an array (f32, any shape), as SQLAlchemy takes them."""
    stored = encode(array)
    return {
        "input_shape": stored.shape,
        "input_encoding": stored.encoding,
        "input_sha256": stored.sha256,
        "input_data": stored.data,
    }


def _input_of(row: Row[Any], owner: str) -> NDArray[np.float32]:
    stored = StoredInput(row.input_shape, row.input_encoding, row.input_data, row.input_sha256)
    return decode(stored, owner)


def status_of(text: str) -> FeedbackStatus:
    """Read a status.

    Raises:
        StoreUnavailable: a newer version of this code wrote it.
    """
    try:
        return FeedbackStatus(text)
    except ValueError as error:
        raise StoreUnavailable(f"the feedback store holds an unknown status: {error}") from error
