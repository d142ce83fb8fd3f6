"""Corrections from people: what they are, and the store that never loses one."""

from rcmvae.feedback.record import (
    Capture,
    Claim,
    FeedbackCounts,
    FeedbackRecord,
    FeedbackStatus,
    NewFeedback,
    Unlabelled,
    Waiting,
)
from rcmvae.feedback.shown import GivenLabel, PlacedCapture, Span
from rcmvae.feedback.store import FeedbackStore

__all__ = [
    "Capture",
    "Claim",
    "FeedbackCounts",
    "FeedbackRecord",
    "FeedbackStatus",
    "FeedbackStore",
    "GivenLabel",
    "NewFeedback",
    "PlacedCapture",
    "Span",
    "Unlabelled",
    "Waiting",
]
