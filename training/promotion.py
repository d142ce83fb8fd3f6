"""One candidate: made, gated and promoted, or not."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    GateOutcome,
    GateReport,
    as_bundle,
    load_current,
    move_pointer,
    stage_bundle,
)
from rcmvae.errors import BundleConflict
from training.gate import judge
from training.rebase import Trained, rebased
from training.relabel import Correction, correction_of, relabel
from training.retrain_job import Job

logger = logging.getLogger(__name__)

ATTEMPTS = 3
FIT_SHARE = 0.8
GATE_SHARE = 0.9
"""Of a job's work: what is done when the last epoch ends, and when the gate begins."""

Maker = Callable[[Bundle, Sequence[Correction], Sequence[str]], BundleDraft]


@dataclass(frozen=True, slots=True)
class Promoted:
    """A candidate that is current now.

    Attributes:
        version: its own.
        parent: what it was made from.
        seen: what the gate said of it.
    """

    version: str
    parent: str
    seen: GateReport


class NotPromoted(Exception):
    """The gate holds or rejects a candidate, which is not written yet."""

    def __init__(self, draft: BundleDraft, report: GateReport) -> None:
        super().__init__(report.reason)
        self.draft = draft
        self.report = report


def promote_candidate(
    job: Job, parent: Bundle, corrections: Sequence[Correction], gone: Sequence[str]
) -> Promoted:
    """Make, gate and promote a candidate, again from the new parent where the pointer moved.

    A refit trains once, and is put on whatever is current then. The claim is renewed right before
    the promotion: a job that lost it promotes nothing.

    Args:
        job: see there.
        parent: the current bundle.
        corrections: to be added.
        gone: ids of what is taken out.

    Raises:
        NotPromoted: the gate does not let it pass.
        ClaimLost: another job has the feedback now.
        BundleConflict: the pointer moved each time, or to other weights than a refit started with.
    """
    if job.method == "relabel":
        make = _relabelling(job)
    else:
        make = _refitting(job, parent, corrections, gone)
        job.reporter.take_turn()
        parent = load_current(job.models)
    for attempt in range(1, ATTEMPTS + 1):
        draft = make(parent, corrections, gone)
        job.reporter.say(GATE_SHARE, f"gate: {draft.bundle_version}")
        report = judge(parent, as_bundle(draft), job.gate)
        if report.outcome is not GateOutcome.PROMOTE:
            raise NotPromoted(draft, report)
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
            return Promoted(candidate.version, parent.version, report)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _relabelling(job: Job) -> Maker:
    authors = job.store.authors() if job.cap else {}
    return lambda parent, corrections, gone: relabel(parent, corrections, gone, authors, job.cap)


def _refitting(
    job: Job, parent: Bundle, corrections: Sequence[Correction], gone: Sequence[str]
) -> Maker:
    # torch is only loaded where it is needed: a relabel has to take seconds.
    from training.refit import refit  # noqa: PLC0415

    applied = (record for record in job.store.applied() if record.feedback_id not in gone)
    everything = [*(correction_of(record) for record in applied), *corrections]
    draft = refit(parent, everything, on_epoch=lambda share: _tell_epoch(job, share))
    trained = Trained(parent, as_bundle(draft))
    return lambda current, brought, replaced: rebased(
        trained, current, brought, replaced, job.store, job.cap
    )


def _tell_epoch(job: Job, share: float) -> None:
    job.reporter.say(FIT_SHARE * share, f"refit: {share:.0%} of the epochs")
    job.reporter.require_held()


def with_report(draft: BundleDraft, report: GateReport) -> BundleDraft:
    """A draft whose lineage says what the gate said."""
    return replace(draft, lineage=draft.lineage.model_copy(update={"gate": report}))
