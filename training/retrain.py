"""The retrain job: claim queued feedback, make a candidate, gate it, promote it, say so.

A refit begins with a relabel of all that waits, so that nobody's label waits for the training; it
claims what found no channel, which it makes room for. What is posted while it trains is for the
relabels beside it, and its bundle is put on theirs when it ends (training/rebase.py).

A job that is killed at any point leaves the serving bundle as it is and the feedback claimed;
after the lease another job takes it. What had been promoted before the kill is recognised by the
ids in the label map, so nothing is applied twice.
"""

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from rcmvae.bundle import Bundle, load_current, read_pointer
from rcmvae.counts import read_label_map
from rcmvae.errors import ClaimLost, StoreUnavailable
from rcmvae.feedback import Claim, FeedbackRecord, FeedbackStore
from training.gate import GateConfig
from training.guard import GuardConfig, SetAside, by_reason, doubted
from training.misfit import refusals_of
from training.relabel import Correction, correction_of, labels_without_channel
from training.reporter import Alone, Reporter, worker_name
from training.retrain_job import Job, RetrainMethod, RetrainResult, Tally
from training.settling import settle, subtract
from training.share_cap import ShareCap

logger = logging.getLogger(__name__)

CLAIM_LIMIT = 10_000


def retrain(
    models: Path,
    store: FeedbackStore,
    method: RetrainMethod,
    gate: GateConfig,
    reporter: Reporter | None = None,
    guard: GuardConfig | None = None,
    cap: ShareCap | None = None,
) -> RetrainResult | None:
    """Apply all feedback that is queued now; None where none waits and nothing is to be trained.

    Corrections that the gate does not let pass together are tried in parts, by label and then in
    halves, so that nobody's labels are lost for another's; what is refused by itself, or in a part
    after MOST_REFUSALS, is rejected or set aside with the reason. Only what a refit claims, which
    is too costly to repeat, is queued again.

    Args:
        models: the folder of bundles.
        store: the feedback.
        method: ``relabel`` adds counts; ``refit`` continues training afterwards, also where none
            waits.
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
    tally, homeless = Tally(), set[str]()
    before: str | None = None
    # What comes later is for the next job: where labels come all the time, this one would not end.
    last = store.last_place()

    def work(claim: Claim | None, method: RetrainMethod) -> frozenset[str]:
        reporter.claimed(None if claim is None else claim.token)
        left = _work(Job(models, store, claim, method, gate, reporter, guard, cap), tally)
        reporter.claimed(None)
        return left

    # Every round settles what it claims, but for labels that the next round leaves where they are.
    while claim := store.claim(
        worker=worker_name(),
        limit=CLAIM_LIMIT,
        lease=reporter.lease,
        skip_labels=homeless,
        up_to=last,
    ):
        logger.info("claimed %d corrections", len(claim.records))
        before = before or read_pointer(models)
        homeless |= work(claim, "relabel")
    if method == "refit":
        before = before or read_pointer(models)
        tally.refused = 0
        work(_for_refit(store, reporter, homeless), "refit")
    if before is None:
        return None
    return _result(models, before, tally, time.perf_counter() - started)


def _for_refit(store: FeedbackStore, reporter: Reporter, homeless: Collection[str]) -> Claim | None:
    """What only a refit can apply; nothing where every label has a channel."""
    if not homeless:
        return None
    return store.claim(
        worker=worker_name(), limit=CLAIM_LIMIT, lease=reporter.lease, only_labels=homeless
    )


def _result(models: Path, before: str, tally: Tally, seconds: float) -> RetrainResult:
    settled = {*tally.applied, *tally.quarantined}
    return RetrainResult(
        version=read_pointer(models) or before,
        parent=tally.parent,
        applied=tuple(tally.applied),
        withdrawn=tuple(tally.withdrawn),
        rejected=tuple(tally.rejected),
        quarantined=tuple(tally.quarantined),
        queued=tuple(name for name in tally.queued if name not in settled),
        held=tuple(tally.held),
        gates=tuple(tally.gates),
        seconds=seconds,
    )


def _work(job: Job, tally: Tally) -> frozenset[str]:
    """Settle one claim, and return the labels that found no channel."""
    try:
        homeless = _apply(job, tally)
        job.release()
    except ClaimLost:
        raise  # what is lost is another's
    except BaseException:
        # What cannot be released is queued when its lease ends; that must not hide the error.
        with suppress(ClaimLost, StoreUnavailable):
            job.release()
        raise
    return homeless


def _apply(job: Job, tally: Tally) -> frozenset[str]:
    leaving = job.leaving
    if job.method == "relabel":
        subtract(job, leaving, tally)
        leaving = []
    parent = load_current(job.models)
    fresh = _without_present(job, parent, tally)
    refusals = refusals_of(fresh, parent.manifest.input)
    for feedback_id, reason in refusals.items():
        job.reject([feedback_id], reason)
    tally.rejected.extend(refusals.items())
    waiting = [correction_of(r) for r in fresh if r.feedback_id not in refusals]
    waiting = _without_doubted(job, parent, waiting, tally)
    homeless = _homeless(job, parent, waiting)
    tally.queued.extend(c.feedback_id for c in waiting if c.label in homeless)
    settle(job, [c for c in waiting if c.label not in homeless], leaving, tally)
    return homeless


def _without_present(job: Job, parent: Bundle, tally: Tally) -> list[FeedbackRecord]:
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
    job: Job, parent: Bundle, waiting: Sequence[Correction], tally: Tally
) -> list[Correction]:
    """Set aside what a person has to look at first."""
    if job.guard is None:
        return list(waiting)
    accepted = job.store.accepted()
    reasons = doubted(
        parent,
        waiting,
        job.store.authors(),
        accepted,
        job.guard,
        lambda author: SetAside.of(job.store, author, accepted),
    )
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
