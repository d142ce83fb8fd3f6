"""Where a correction stands in its life, and which statuses mean what."""

from enum import StrEnum


class FeedbackStatus(StrEnum):
    """Where a correction stands in its life.

    queued       durable, waiting for a retrain job; a released or lapsed claim returns to it too
    claimed      a job holds it under a lease; when the lease ends anybody may claim it again
    applied      part of the bundle named in ``applied_version``, and of its descendants
    quarantined  set aside for the reason given until a person accepts or withdraws it
    replaced     perhaps in a bundle, though another correction of the same input prevails: the next
                 job takes it out, then it is superseded
    superseded   in no bundle, as ``superseded_by`` prevails; queued again should that one go
    withdrawing  taken back, but perhaps in a bundle: the next job takes it out
    withdrawn    taken back and in no bundle; final
    rejected     will never be part of a bundle, for the reason given; final unless withdrawn

    Of any of them a claim may have ended without a report. Such a correction is unreported: a
    bundle may hold it or not, and the next job adds it or takes it out, by its status.
    """

    QUEUED = "queued"
    CLAIMED = "claimed"
    APPLIED = "applied"
    QUARANTINED = "quarantined"
    REPLACED = "replaced"
    SUPERSEDED = "superseded"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"


COUNTING = frozenset(
    {
        FeedbackStatus.QUEUED,
        FeedbackStatus.CLAIMED,
        FeedbackStatus.APPLIED,
        FeedbackStatus.REPLACED,
        FeedbackStatus.SUPERSEDED,
    }
)
"""Statuses of corrections that have a say in what an input is."""

STANDING = (FeedbackStatus.QUEUED, FeedbackStatus.CLAIMED, FeedbackStatus.APPLIED)
"""Statuses of corrections that are or will be part of a bundle."""

LEAVING = frozenset({FeedbackStatus.REPLACED, FeedbackStatus.WITHDRAWING})
"""Statuses of what the next job takes out of the bundle."""
