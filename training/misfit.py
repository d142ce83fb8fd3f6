"""Corrections whose input no bundle of this signature can hold."""

from collections.abc import Sequence

import numpy as np

from rcmvae.bundle.manifest import InputSignature
from rcmvae.feedback import FeedbackRecord


def refusals_of(records: Sequence[FeedbackRecord], signature: InputSignature) -> dict[str, str]:
    """Why some corrections will never be applied, by id."""
    reasons = ((record.feedback_id, _misfit(record, signature)) for record in records)
    return {feedback_id: reason for feedback_id, reason in reasons if reason is not None}


def _misfit(record: FeedbackRecord, signature: InputSignature) -> str | None:
    if tuple(record.input.shape) != signature.shape:
        return f"input: expected shape {signature.shape}, got {tuple(record.input.shape)}"
    low, high = record.input.min(), record.input.max()
    if low < np.float32(signature.low) or high > np.float32(signature.high):
        expected = f"[{signature.low:g}, {signature.high:g}]"
        return f"input: expected values in {expected}, got [{low:g}, {high:g}]"
    return None
