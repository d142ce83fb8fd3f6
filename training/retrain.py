"""The retrain job: claim queued feedback, make a candidate, gate it, promote it, say so.

A job that is killed at any point leaves the serving bundle as it is and the feedback claimed;
after the lease another job takes it. What had been promoted before the kill is recognised by the
ids in the label map, so nothing is applied twice.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    GateOutcome,
    GateReport,
    as_bundle,
    load_current,
    move_pointer,
    read_pointer,
    stage_bundle,
)
from rcmvae.bundle.manifest import InputSignature
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict, ClaimLost
from rcmvae.feedback import Claim, FeedbackRecord, FeedbackStore
from training.gate import GateConfig, judge
from training.guard import GuardConfig, by_reason, doubted
from training.relabel import Correction, correction_of, labels_without_channel, relabel
from training.reporter import Alone, Reporter, worker_name
from training.share_cap import ShareCap

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 10_000
ATTEMPTS = 3
MOST_REFUSALS = 40
"""Refusals of one job after which a refused part is not parted again: a flood must not stall it."""

FIT_SHARE = 0.8
GATE_SHARE = 0.9
"""Of a job's work: what is done when the last epoch ends, and when the gate begins."""

RetrainMethod = Literal["relabel", "refit"]
Maker = Callable[[Bundle, Sequence[Correction], Sequence[str]], BundleDraft]


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
class _Tally:
    """What a job has done so far."""

    applied: list[str]
    withdrawn: list[str]
    rejected: list[tuple[str, str]]
    quarantined: list[str]
    queued: list[str]
    held: list[str]
    gates: list[GateReport]
    refused: int = 0
    parent: str | None = None


def retrain(
    models: Path,
    store: FeedbackStore,
    method: RetrainMethod,
    gate: GateConfig,
    reporter: Reporter | None = None,
    guard: GuardConfig | None = None,
    cap: ShareCap | None = None,
) -> RetrainResult | None:
    """Apply all queued feedback; None where none waits and nothing is to be trained.

    Corrections that the gate does not let pass together are tried in parts, by label and then in
    halves, so that nobody's labels are lost for another's; what is refused by itself, or in a part
    after MOST_REFUSALS, is rejected or set aside with the reason. Only a refit, which is too costly
    to repeat, queues its batch again.

    Args:
        models: the folder of bundles.
        store: the feedback.
        method: ``relabel`` adds counts, ``refit`` continues training, also where none waits.
        gate: what a candidate may lose.
        reporter: who works on it; None for work that no job in the store stands for.
        guard: which labels a person has to look at first; None for none.
        cap: what one author's labels may weigh; None for as much as he likes.

    Raises:
        ClaimLost: the job took longer than its lease and another one has the feedback now; nothing
            was promoted, unless the lease ended right after that.
        BundleConflict: other publishers won the race too often; the feedback is queued again.
    """
    started = time.perf_counter()
    reporter = reporter or Alone(store)
    tally, homeless = _Tally([], [], [], [], [], [], []), set[str]()
    before: str | None = None
    # Every round settles what it claims, but for labels that the next round leaves where they are.
    while claim := store.claim(
        worker=worker_name(), limit=CLAIM_LIMIT, lease=reporter.lease, skip_labels=homeless
    ):
        reporter.claimed(claim.token)
        logger.info("claimed %d corrections", len(claim.records))
        before = before or read_pointer(models)
        homeless |= _work(Job(models, store, claim, method, gate, reporter, guard, cap), tally)
        reporter.claimed(None)
    if before is None and method == "refit":
        before = read_pointer(models)
        _work(Job(models, store, None, method, gate, reporter, guard, cap), tally)
    if before is None:
        return None
    return _result(models, before, tally, time.perf_counter() - started)


def _result(models: Path, before: str, tally: _Tally, seconds: float) -> RetrainResult:
    return RetrainResult(
        version=read_pointer(models) or before,
        parent=tally.parent,
        applied=tuple(tally.applied),
        withdrawn=tuple(tally.withdrawn),
        rejected=tuple(tally.rejected),
        quarantined=tuple(tally.quarantined),
        queued=tuple(tally.queued),
        held=tuple(tally.held),
        gates=tuple(tally.gates),
        seconds=seconds,
    )


def _work(job: Job, tally: _Tally) -> frozenset[str]:
    """Settle one claim, and return the labels that found no channel."""
    try:
        homeless = _apply(job, tally)
        job.release()
    except ClaimLost:
        raise  # what is lost is another's
    except BaseException:
        job.release()
        raise
    return homeless


def _maker(job: Job) -> Maker:
    if job.method == "relabel":
        authors = job.store.authors() if job.cap else {}
        return lambda parent, corrections, gone: relabel(
            parent, corrections, gone, authors, job.cap
        )
    # torch is only loaded where it is needed: a relabel has to take seconds.
    from training.refit import refit  # noqa: PLC0415

    def refit_all(
        parent: Bundle, corrections: Sequence[Correction], gone: Sequence[str]
    ) -> BundleDraft:
        applied = (record for record in job.store.applied() if record.feedback_id not in gone)
        everything = [*(correction_of(record) for record in applied), *corrections]
        return refit(parent, everything, on_epoch=lambda share: _tell_epoch(job, share))

    return refit_all


def _tell_epoch(job: Job, share: float) -> None:
    job.reporter.say(FIT_SHARE * share, f"refit: {share:.0%} of the epochs")
    job.reporter.require_held()


def _apply(job: Job, tally: _Tally) -> frozenset[str]:
    leaving = job.leaving
    if job.method == "relabel":
        _subtract(job, leaving, tally)
        leaving = []
    parent = load_current(job.models)
    fresh = _without_present(job, parent, tally)
    refusals = _refusals(fresh, parent.manifest.input)
    for feedback_id, reason in refusals.items():
        job.reject([feedback_id], reason)
    tally.rejected.extend(refusals.items())
    waiting = [correction_of(r) for r in fresh if r.feedback_id not in refusals]
    waiting = _without_doubted(job, parent, waiting, tally)
    homeless = _homeless(job, parent, waiting)
    tally.queued.extend(c.feedback_id for c in waiting if c.label in homeless)
    _settle(job, [c for c in waiting if c.label not in homeless], leaving, tally)
    return homeless


def _subtract(job: Job, leaving: Sequence[str], tally: _Tally) -> None:
    """Take corrections out of the label map; those without which the gate refuses it stay."""
    if not leaving:
        return
    parent = load_current(job.models)
    held = set(read_label_map(parent).ids).intersection(leaving)
    try:
        promoted = _promote(job, parent, [], leaving) if held else None
    except _NotPromoted as refused:
        tally.refused += 1
        if len(leaving) == 1 or tally.refused > MOST_REFUSALS:
            tally.gates.append(refused.report)
            # What the bundle does not hold cannot stay in it: the next round says that it is out.
            job.keep(sorted(held), f"not taken back: gate: {refused.report.reason}")
            logger.warning("the gate keeps %d corrections that were taken back", len(held))
            return
        for part in (leaving[: len(leaving) // 2], leaving[len(leaving) // 2 :]):
            _subtract(job, part, tally)
        return
    version = promoted.version if promoted else parent.version
    job.mark_applied([], version, leaving)
    tally.withdrawn.extend(leaving)
    if promoted:
        tally.gates.append(promoted.seen)
        tally.parent = tally.parent or promoted.parent


def _without_present(job: Job, parent: Bundle, tally: _Tally) -> list[FeedbackRecord]:
    """Mark what the bundle holds already: a job was killed between promoting and saying so."""
    present = set(read_label_map(parent).ids)
    done = [r.feedback_id for r in job.records if r.feedback_id in present]
    # What they replace went with the same promotion.
    gone = [i for i in job.replaced_by(done) if i not in present]
    job.mark_applied(done, parent.version, gone)
    tally.applied.extend(done)
    tally.withdrawn.extend(gone)
    return [record for record in job.records if record.feedback_id not in present]


def _without_doubted(
    job: Job, parent: Bundle, waiting: Sequence[Correction], tally: _Tally
) -> list[Correction]:
    """Set aside what a person has to look at first."""
    if job.guard is None:
        return list(waiting)
    accepted = job.store.accepted()
    reasons = doubted(parent, waiting, job.store.authors(), accepted, job.guard)
    for reason, ids in by_reason(reasons).items():
        logger.warning("%d corrections set aside: %s", len(ids), reason)
        job.hold(ids, reason)
    tally.quarantined.extend(reasons)
    return [c for c in waiting if c.feedback_id not in reasons]


def _homeless(job: Job, parent: Bundle, waiting: Sequence[Correction]) -> frozenset[str]:
    """New labels that no channel is free for; a refit makes room itself."""
    if job.method == "refit":
        return frozenset()
    homeless = labels_without_channel(parent, waiting)
    for label in sorted(homeless):
        logger.warning("label %r finds no free channel: queued until a refit", label)
    return homeless


def _settle(job: Job, waiting: Sequence[Correction], leaving: Sequence[str], tally: _Tally) -> None:
    """Promote a bundle with the corrections; what the gate does not let pass together, in parts.

    Args:
        job: see there.
        waiting: to be added; what they replace goes with them.
        leaving: to be taken out besides.
        tally: of what was done.
    """
    if not waiting and job.method == "relabel":
        return
    ids = [correction.feedback_id for correction in waiting]
    gone = [*leaving, *job.replaced_by(ids)]
    try:
        promoted = _promote(job, load_current(job.models), waiting, gone)
    except _NotPromoted as refused:
        tally.refused += 1
        if job.method == "relabel" and len(waiting) > 1 and tally.refused <= MOST_REFUSALS:
            logger.warning("%d corrections together do not pass: in parts", len(waiting))
            for part in _parts(waiting):
                _settle(job, part, [], tally)
        else:
            _set_aside(job, ids, refused, tally)
        return
    job.mark_applied(ids, promoted.version, gone)
    tally.applied.extend(ids)
    tally.withdrawn.extend(gone)
    tally.gates.append(promoted.seen)
    tally.parent = tally.parent or promoted.parent


def _set_aside(job: Job, ids: Sequence[str], refused: "_NotPromoted", tally: _Tally) -> None:
    """Keep what is held for a person, and state of the corrections what became of them.

    Those of a refit are queued again: a relabel may pass without a person.
    """
    report, draft = refused.report, refused.draft
    tally.gates.append(report)
    logger.warning("%s by the gate: %s", report.outcome, report.reason)
    if report.outcome is GateOutcome.HOLD:
        held = stage_bundle(job.models, with_report(draft, report))
        tally.held.append(held.version)
    if job.method == "refit":
        return
    if report.outcome is GateOutcome.HOLD:
        job.hold(ids, f"held in version {draft.bundle_version}: {report.reason}")
        tally.quarantined.extend(ids)
    else:
        reason = f"gate: {report.reason}"
        job.reject(ids, reason)
        tally.rejected.extend((feedback_id, reason) for feedback_id in ids)


def with_report(draft: BundleDraft, report: GateReport) -> BundleDraft:
    """A draft whose lineage says what the gate said."""
    return replace(draft, lineage=draft.lineage.model_copy(update={"gate": report}))


def _parts(waiting: Sequence[Correction]) -> list[list[Correction]]:
    """By label where there are several, in halves where there is one."""
    labels = list(dict.fromkeys(correction.label for correction in waiting))
    if len(labels) > 1:
        return [[c for c in waiting if c.label == label] for label in labels]
    half = len(waiting) // 2
    return [list(waiting[:half]), list(waiting[half:])]


@dataclass(frozen=True, slots=True)
class _Promoted:
    version: str
    parent: str
    seen: GateReport


class _NotPromoted(Exception):
    """The gate holds or rejects a candidate, which is not written yet."""

    def __init__(self, draft: BundleDraft, report: GateReport) -> None:
        super().__init__(report.reason)
        self.draft = draft
        self.report = report


def _promote(
    job: Job, parent: Bundle, corrections: Sequence[Correction], gone: Sequence[str]
) -> _Promoted:
    """Make, gate and promote a candidate, again from the new parent where the pointer moved.

    The claim is renewed right before: a job that lost it promotes nothing.
    """
    make = _maker(job)
    for attempt in range(1, ATTEMPTS + 1):
        draft = make(parent, corrections, gone)
        job.reporter.say(GATE_SHARE, f"gate: {draft.bundle_version}")
        report = judge(parent, as_bundle(draft), job.gate)
        if report.outcome is not GateOutcome.PROMOTE:
            raise _NotPromoted(draft, report)
        candidate = stage_bundle(job.models, with_report(draft, report))
        job.reporter.require_held()
        try:
            move_pointer(job.models, parent.version, candidate.version)
        except BundleConflict:
            if attempt == ATTEMPTS:
                raise
            logger.warning("the pointer moved while %s was made: once more", candidate.version)
            parent = load_current(job.models)
        else:
            logger.info("promoted %s, child of %s", candidate.version, parent.version)
            return _Promoted(candidate.version, parent.version, report)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _refusals(records: Sequence[FeedbackRecord], signature: InputSignature) -> dict[str, str]:
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
