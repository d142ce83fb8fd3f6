"""Corrections from people: what they are, and the store that never loses one."""

from rcmvae.feedback.reconciling import Reconciled
from rcmvae.feedback.record import (
    ANONYMOUS,
    Capture,
    Claim,
    Dispute,
    DisputePage,
    FeedbackCounts,
    FeedbackEvent,
    FeedbackFilter,
    FeedbackPage,
    FeedbackRecord,
    NewFeedback,
    Submission,
    Unlabelled,
    Waiting,
)
from rcmvae.feedback.renaming import LabelEdit
from rcmvae.feedback.shown import GivenLabel, PlacedCapture, Span
from rcmvae.feedback.status import FeedbackStatus
from rcmvae.feedback.store import FeedbackStore

__all__ = [
    "ANONYMOUS",
    "Capture",
    "Claim",
    "Dispute",
    "DisputePage",
    "FeedbackCounts",
    "FeedbackEvent",
    "FeedbackFilter",
    "FeedbackPage",
    "FeedbackRecord",
    "FeedbackStatus",
    "FeedbackStore",
    "GivenLabel",
    "LabelEdit",
    "NewFeedback",
    "PlacedCapture",
    "Reconciled",
    "Span",
    "Submission",
    "Unlabelled",
    "Waiting",
]
