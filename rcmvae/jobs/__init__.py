"""Retrain jobs: what was asked for, who works on it, and what came of it; in the feedback store."""

from rcmvae.jobs.record import (
    JobClaim,
    JobCounts,
    JobMethod,
    JobOrigin,
    JobRecord,
    JobResult,
    JobState,
)
from rcmvae.jobs.store import JobStore

__all__ = [
    "JobClaim",
    "JobCounts",
    "JobMethod",
    "JobOrigin",
    "JobRecord",
    "JobResult",
    "JobState",
    "JobStore",
]
