"""The retrain job: claim queued feedback, make a candidate, gate it, promote it, say so.

A job that is killed at any point leaves the serving bundle as it is and the feedback claimed;
after the lease another job takes it. What had been promoted before the kill is recognised by the
ids in the label map, so nothing is applied twice.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from rcmvae.bundle import Bundle, BundleDraft, load_current, move_pointer, stage_bundle
from rcmvae.bundle.manifest import InputSignature
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict, ClaimLost, GateRefused
from rcmvae.feedback import Claim, FeedbackRecord, FeedbackStore
from training.gate import GateConfig, GateResult, require_gate
from training.relabel import Correction, correction_of, labels_without_channel, relabel

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
"""Renewed with every epoch of a refit and before a promotion; after it another job takes over."""
CLAIM_LIMIT = 10_000
ATTEMPTS = 3

RetrainMethod = Literal["relabel", "refit"]
Maker = Callable[[Bundle, Sequence[Correction]], BundleDraft]


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """What one job did.

    Attributes:
        version: the bundle that is current now.
        parent: the bundle it came from; None where nothing was left to apply.
        applied: ids that the new bundle holds.
        rejected: ids that no bundle will hold, with the reason.
        queued: ids that wait for a refit: their label is new and found no free channel.
        gate: what the gate saw; None where nothing was left to apply.
        seconds: from the claim to the moved pointer.
    """

    version: str
    parent: str | None
    applied: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    queued: tuple[str, ...]
    gate: GateResult | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """One claim on its way into a bundle."""

    models: Path
    store: FeedbackStore
    claim: Claim
    method: RetrainMethod
    gate: GateConfig

    def renew(self) -> None:
        """Hold the claim for another lease.

        Raises:
            ClaimLost: another job has taken it.
        """
        self.store.renew(self.claim.token, LEASE)


def retrain(
    models: Path, store: FeedbackStore, method: RetrainMethod, gate: GateConfig
) -> RetrainResult | None:
    """Apply all queued feedback; None where none waits.

    Args:
        models: the folder of bundles.
        store: the feedback.
        method: ``relabel`` adds counts, ``refit`` continues training.
        gate: what a candidate may lose.

    Raises:
        GateRefused: the candidate is worse; its feedback is rejected with the reason.
        ClaimLost: the job took longer than its lease and another one has the feedback now; nothing
            was promoted, unless the lease ended right after that.
        BundleConflict: other publishers won the race too often; the feedback is queued again.
    """
    claim = store.claim(worker=_worker_name(), limit=CLAIM_LIMIT, lease=LEASE)
    if claim is None:
        return None
    logger.info("claimed %d corrections", len(claim.records))
    try:
        return _apply(Job(models, store, claim, method, gate))
    except (GateRefused, ClaimLost):
        raise  # what was refused is rejected already, and what is lost is another's
    except Exception:
        store.release(claim.token)
        raise


def _worker_name() -> str:
    return f"retrain-{socket.gethostname()}-{os.getpid()}"[:128]


def _maker(job: Job) -> Maker:
    if job.method == "relabel":
        return relabel
    # torch is only loaded where it is needed: a relabel has to take seconds.
    from training.refit import refit  # noqa: PLC0415

    def refit_all(parent: Bundle, corrections: Sequence[Correction]) -> BundleDraft:
        earlier = [correction_of(record) for record in job.store.applied()]
        return refit(parent, [*earlier, *corrections], on_epoch=job.renew)

    return refit_all


def _apply(job: Job) -> RetrainResult:
    started = time.perf_counter()
    parent = load_current(job.models)
    rejected = _reject_misfits(job.store, job.claim, parent.manifest.input)
    refused = {feedback_id for feedback_id, _ in rejected}
    fitting = [record for record in job.claim.records if record.feedback_id not in refused]
    present = set(read_label_map(parent).ids)
    done = [record.feedback_id for record in fitting if record.feedback_id in present]
    if done:
        job.store.mark_applied(job.claim.token, done, parent.version)
    waiting = [correction_of(r) for r in fitting if r.feedback_id not in present]
    waiting, homeless = _with_channels(job, parent, waiting)
    settled = RetrainResult(parent.version, None, tuple(done), rejected, homeless, None, 0.0)
    if waiting:
        settled = _settle(job, parent, waiting, settled)
    if homeless:
        job.store.release(job.claim.token)
    return replace(settled, seconds=time.perf_counter() - started)


def _with_channels(
    job: Job, parent: Bundle, waiting: list[Correction]
) -> tuple[list[Correction], tuple[str, ...]]:
    """Part corrections that a relabel can count from those whose new label finds no channel."""
    if job.method == "refit" or not waiting:
        return waiting, ()
    homeless = labels_without_channel(parent, waiting)
    for label in sorted(homeless):
        logger.warning("label %r finds no free channel: queued until a refit", label)
    held = tuple(c.feedback_id for c in waiting if c.label in homeless)
    return [c for c in waiting if c.label not in homeless], held


def _settle(
    job: Job, parent: Bundle, waiting: Sequence[Correction], so_far: RetrainResult
) -> RetrainResult:
    """Promote a bundle with the corrections and mark them, or reject them with the reason."""
    applied = tuple(correction.feedback_id for correction in waiting)
    try:
        promoted = _promote(job, parent, waiting)
    except GateRefused as error:
        job.store.reject(job.claim.token, applied, f"gate: {error}")
        if so_far.queued:
            job.store.release(job.claim.token)
        raise
    job.store.mark_applied(job.claim.token, applied, promoted.version)
    return replace(
        so_far,
        version=promoted.version,
        parent=promoted.parent,
        applied=(*so_far.applied, *applied),
        gate=promoted.seen,
    )


@dataclass(frozen=True, slots=True)
class _Promoted:
    version: str
    parent: str
    seen: GateResult


def _promote(job: Job, parent: Bundle, corrections: Sequence[Correction]) -> _Promoted:
    """Make, gate and promote a candidate, again from the new parent where the pointer moved.

    The claim is renewed right before: a job that lost it promotes nothing.
    """
    make = _maker(job)
    for attempt in range(1, ATTEMPTS + 1):
        candidate = stage_bundle(job.models, make(parent, corrections))
        seen = require_gate(parent, candidate, job.gate)
        job.renew()
        try:
            move_pointer(job.models, parent.version, candidate.version)
        except BundleConflict:
            if attempt == ATTEMPTS:
                raise
            logger.warning("the pointer moved while %s was made: once more", candidate.version)
            parent = load_current(job.models)
        else:
            logger.info("promoted %s, child of %s", candidate.version, parent.version)
            return _Promoted(candidate.version, parent.version, seen)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _reject_misfits(
    store: FeedbackStore, claim: Claim, signature: InputSignature
) -> tuple[tuple[str, str], ...]:
    """Reject corrections whose input no longer fits the model, each with its reason."""
    misfits = [
        (record.feedback_id, reason)
        for record in claim.records
        if (reason := _misfit(record, signature)) is not None
    ]
    for feedback_id, reason in misfits:
        store.reject(claim.token, [feedback_id], reason)
    return tuple(misfits)


def _misfit(record: FeedbackRecord, signature: InputSignature) -> str | None:
    if tuple(record.input.shape) != signature.shape:
        return f"input: expected shape {signature.shape}, got {tuple(record.input.shape)}"
    low, high = float(record.input.min()), float(record.input.max())
    if low < signature.low or high > signature.high:
        expected = f"[{signature.low:g}, {signature.high:g}]"
        return f"input: expected values in {expected}, got [{low:g}, {high:g}]"
    return None
