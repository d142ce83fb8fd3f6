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
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from rcmvae.bundle import Bundle, BundleDraft, load_current, move_pointer, stage_bundle
from rcmvae.bundle.manifest import InputSignature
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict, ClaimLost, GateRefused
from rcmvae.feedback import Claim, FeedbackRecord, FeedbackStore
from training.gate import GateConfig, GateResult, require_gate
from training.relabel import Correction, correction_of, relabel

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
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
        gate: what the gate saw; None where nothing was left to apply.
        seconds: from the claim to the moved pointer.
    """

    version: str
    parent: str | None
    applied: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    gate: GateResult | None
    seconds: float


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
        NoFreeChannel: a new label needs a refit with more channels; its feedback is queued again.
        BundleConflict: other publishers won the race too often; the feedback is queued again.
    """
    claim = store.claim(worker=_worker_name(), limit=CLAIM_LIMIT, lease=LEASE)
    if claim is None:
        return None
    logger.info("claimed %d corrections", len(claim.records))
    started = time.perf_counter()
    try:
        return _apply(models, store, claim, _maker(store, method), gate, started)
    except (GateRefused, ClaimLost):
        raise  # what was refused is rejected already, and what is lost is another's
    except Exception:
        store.release(claim.token)
        raise


def _worker_name() -> str:
    return f"retrain-{socket.gethostname()}-{os.getpid()}"[:128]


def _maker(store: FeedbackStore, method: RetrainMethod) -> Maker:
    if method == "relabel":
        return relabel
    # torch is only loaded where it is needed: a relabel has to take seconds.
    from training.refit import refit  # noqa: PLC0415

    def refit_all(parent: Bundle, corrections: Sequence[Correction]) -> BundleDraft:
        earlier = [correction_of(record) for record in store.applied()]
        return refit(parent, [*earlier, *corrections])

    return refit_all


def _apply(
    models: Path,
    store: FeedbackStore,
    claim: Claim,
    make: Maker,
    gate: GateConfig,
    started: float,
) -> RetrainResult:
    parent = load_current(models)
    rejected = _reject_misfits(store, claim, parent.manifest.input)
    refused = {feedback_id for feedback_id, _ in rejected}
    fitting = [record for record in claim.records if record.feedback_id not in refused]
    present = set(read_label_map(parent).ids)
    done = [record.feedback_id for record in fitting if record.feedback_id in present]
    if done:
        store.mark_applied(claim.token, done, parent.version)
    waiting = [correction_of(r) for r in fitting if r.feedback_id not in present]
    if not waiting:
        return RetrainResult(
            parent.version, None, tuple(done), rejected, None, time.perf_counter() - started
        )
    applied = tuple(correction.feedback_id for correction in waiting)

    def renew() -> None:
        store.renew(claim.token, LEASE)

    try:
        parent, candidate, seen = _promote(models, parent, waiting, make, gate, renew)
    except GateRefused as error:
        store.reject(claim.token, applied, f"gate: {error}")
        raise
    store.mark_applied(claim.token, applied, candidate.version)
    seconds = time.perf_counter() - started
    return RetrainResult(
        candidate.version, parent.version, (*done, *applied), rejected, seen, seconds
    )


def _promote(
    models: Path,
    parent: Bundle,
    corrections: Sequence[Correction],
    make: Maker,
    gate: GateConfig,
    renew: Callable[[], None],
) -> tuple[Bundle, Bundle, GateResult]:
    """Make, gate and promote a candidate, again from the new parent where the pointer moved.

    ``renew`` stands right before the promotion: a job that lost its claim promotes nothing.
    """
    for attempt in range(1, ATTEMPTS + 1):
        candidate = stage_bundle(models, make(parent, corrections))
        seen = require_gate(parent, candidate, gate)
        renew()
        try:
            move_pointer(models, parent.version, candidate.version)
        except BundleConflict:
            if attempt == ATTEMPTS:
                raise
            logger.warning("the pointer moved while %s was made: once more", candidate.version)
            parent = load_current(models)
        else:
            logger.info("promoted %s, child of %s", candidate.version, parent.version)
            return parent, candidate, seen
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
