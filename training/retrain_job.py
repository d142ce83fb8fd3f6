"""Work on one claim of feedback: what it is, what was done of it, and what comes of a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rcmvae.bundle import GateReport
from rcmvae.feedback import Claim, FeedbackRecord, FeedbackStore
from training.gate import GateConfig
from training.guard import GuardConfig
from training.reporter import Reporter
from training.share_cap import ShareCap

RetrainMethod = Literal["relabel", "refit"]


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """What one job did.

    Attributes:
        version: the bundle that is current now.
        parent: the bundle that the first promoted one came from; None where none was.
        applied: ids that a bundle now holds.
        withdrawn: ids that it no longer holds: taken back, or replaced by newer corrections.
        rejected: ids that no bundle will hold, with the reason.
        quarantined: ids that are set aside until a person decides.
        queued: ids that wait for a refit: their label is new and found no free channel.
        held: bundles that a person may promote.
        gates: what the gate said of each bundle that was promoted, held or finally rejected.
        seconds: from the first claim to the last moved pointer.
    """

    version: str
    parent: str | None
    applied: tuple[str, ...]
    withdrawn: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    quarantined: tuple[str, ...]
    queued: tuple[str, ...]
    held: tuple[str, ...]
    gates: tuple[GateReport, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """Work on one claim, or on none: a refit may be due though no feedback waits."""

    models: Path
    store: FeedbackStore
    claim: Claim | None
    method: RetrainMethod
    gate: GateConfig
    reporter: Reporter
    guard: GuardConfig | None
    cap: ShareCap | None

    @property
    def records(self) -> tuple[FeedbackRecord, ...]:
        """What is claimed, in the order in which it was posted."""
        return self.claim.records if self.claim else ()

    @property
    def leaving(self) -> list[str]:
        """Ids of what goes whatever is added: taken back, or replaced by what a bundle holds."""
        gone = self.claim.subtract if self.claim else ()
        replaced = set(self.replaced_by([record.feedback_id for record in self.records]))
        return [record.feedback_id for record in gone if record.feedback_id not in replaced]

    def replaced_by(self, ids: Sequence[str]) -> list[str]:
        """Ids of what goes when these corrections are added."""
        return [old for name in ids for old in self.claim.replaced_by(name)] if self.claim else []

    def mark_applied(self, ids: Sequence[str], version: str, gone: Sequence[str]) -> None:
        """State that a bundle holds these corrections, and others no more."""
        if self.claim and (ids or gone):
            self.store.mark_applied(self.claim.token, ids, version, gone)

    def keep(self, ids: Sequence[str], reason: str) -> None:
        """State that corrections which were to leave stay in the bundle, and why."""
        if self.claim:
            self.store.keep(self.claim.token, ids, reason)

    def reject(self, ids: Sequence[str], reason: str) -> None:
        """State that no bundle will hold these corrections, and why."""
        if self.claim:
            self.store.reject(self.claim.token, ids, reason)

    def hold(self, ids: Sequence[str], reason: str) -> None:
        """Set these corrections aside until a person decides."""
        if self.claim:
            self.store.quarantine(self.claim.token, ids, reason)

    def release(self) -> None:
        """Queue again what was not settled."""
        if self.claim:
            self.store.release(self.claim.token)


@dataclass(slots=True)
class Tally:
    """What a job has done so far."""

    applied: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    gates: list[GateReport] = field(default_factory=list)
    refused: int = 0
    parent: str | None = None
