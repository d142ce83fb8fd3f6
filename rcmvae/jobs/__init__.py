"""Retrain jobs: what was asked for, who works on it, and what came of it; in the feedback store."""

from rcmvae.jobs.moves import promote, reconcile, roll_back
from rcmvae.jobs.record import (
    JobClaim,
    JobCounts,
    JobLane,
    JobMethod,
    JobOrigin,
    JobRecord,
    JobResult,
    JobState,
)
from rcmvae.jobs.store import JobStore
from rcmvae.jobs.versions import VersionState, state_of

__all__ = [
    "JobClaim",
    "JobCounts",
    "JobLane",
    "JobMethod",
    "JobOrigin",
    "JobRecord",
    "JobResult",
    "JobState",
    "JobStore",
    "VersionState",
    "promote",
    "reconcile",
    "roll_back",
    "state_of",
]
