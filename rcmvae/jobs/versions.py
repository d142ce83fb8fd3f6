"""What a version on disk is at the moment."""

from collections.abc import Collection
from enum import StrEnum

from rcmvae.bundle import GateOutcome, Manifest


class VersionState(StrEnum):
    """What a version is at the moment.

    current   the pointer names it
    held      the gate wants a person to look; nobody has moved the pointer to it yet
    retired   was current, or never came to be; can be promoted
    """

    CURRENT = "current"
    HELD = "held"
    RETIRED = "retired"


def state_of(manifest: Manifest, current: str | None, moved_to: Collection[str]) -> VersionState:
    """What a version is.

    Args:
        manifest: of the version.
        current: the version that the pointer names.
        moved_to: versions that a person ever moved the pointer to.
    """
    if manifest.bundle_version == current:
        return VersionState.CURRENT
    gate = manifest.lineage.gate
    is_held = gate is not None and gate.outcome is GateOutcome.HOLD
    if is_held and manifest.bundle_version not in moved_to:
        return VersionState.HELD
    return VersionState.RETIRED
