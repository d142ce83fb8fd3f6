"""What a version on disk is at the moment."""

from collections.abc import Collection
from enum import StrEnum

from rcmvae.bundle import GateOutcome, Manifest
from rcmvae.jobs.record import JobMethod
from rcmvae.jobs.store import JobStore

MOST_MOVES = 1000
"""Newest jobs among which a promotion of a held version is looked for."""


class VersionState(StrEnum):
    """What a version is at the moment.

    current   the pointer names it
    held      the gate wants a person to look; it has not been promoted
    retired   was current, or never came to be; can be promoted
    """

    CURRENT = "current"
    HELD = "held"
    RETIRED = "retired"


def promoted_versions(jobs: JobStore) -> frozenset[str]:
    """Versions that a person promoted, as far back as the newest jobs tell."""
    moves = (job for job in jobs.newest(MOST_MOVES) if job.method is JobMethod.PROMOTE)
    return frozenset(job.version for job in moves if job.version is not None)


def state_of(manifest: Manifest, current: str | None, promoted: Collection[str]) -> VersionState:
    """What a version is.

    Args:
        manifest: of the version.
        current: the version that the pointer names.
        promoted: see promoted_versions.
    """
    if manifest.bundle_version == current:
        return VersionState.CURRENT
    gate = manifest.lineage.gate
    is_held = gate is not None and gate.outcome is GateOutcome.HOLD
    if is_held and manifest.bundle_version not in promoted:
        return VersionState.HELD
    return VersionState.RETIRED
