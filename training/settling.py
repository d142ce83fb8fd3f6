"""What becomes of corrections at the gate: together, in parts, or set aside with the reason."""

import logging
from collections.abc import Sequence

from rcmvae.bundle import GateOutcome, load_current, stage_bundle
from rcmvae.counts import read_label_map
from training.promotion import NotPromoted, promote_candidate, with_report
from training.relabel import Correction
from training.retrain_job import Job, Tally

logger = logging.getLogger(__name__)

MOST_REFUSALS = 40
"""Refusals of one job after which a refused part is not parted again: a flood must not stall it."""


def subtract(job: Job, leaving: Sequence[str], tally: Tally) -> None:
    """Take corrections out of the label map; those without which the gate refuses it stay."""
    if not leaving:
        return
    parent = load_current(job.models)
    held = set(read_label_map(parent).ids).intersection(leaving)
    try:
        promoted = promote_candidate(job, parent, [], leaving) if held else None
    except NotPromoted as refused:
        tally.refused += 1
        if len(leaving) == 1 or tally.refused > MOST_REFUSALS:
            tally.gates.append(refused.report)
            # What the bundle does not hold cannot stay in it: the next round says that it is out.
            job.keep(sorted(held), f"not taken back: gate: {refused.report.reason}")
            logger.warning("the gate keeps %d corrections that were taken back", len(held))
            return
        for part in (leaving[: len(leaving) // 2], leaving[len(leaving) // 2 :]):
            subtract(job, part, tally)
        return
    version = promoted.version if promoted else parent.version
    job.mark_applied([], version, leaving)
    tally.withdrawn.extend(leaving)
    if promoted:
        tally.gates.append(promoted.seen)
        tally.parent = tally.parent or promoted.parent


def settle(job: Job, waiting: Sequence[Correction], leaving: Sequence[str], tally: Tally) -> None:
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
        promoted = promote_candidate(job, load_current(job.models), waiting, gone)
    except NotPromoted as refused:
        tally.refused += 1
        if job.method == "relabel" and len(waiting) > 1 and tally.refused <= MOST_REFUSALS:
            logger.warning("%d corrections together do not pass: in parts", len(waiting))
            for part in _parts(waiting):
                settle(job, part, [], tally)
        else:
            _set_aside(job, ids, refused, tally)
        return
    job.mark_applied(ids, promoted.version, gone)
    tally.applied.extend(ids)
    tally.withdrawn.extend(gone)
    tally.gates.append(promoted.seen)
    tally.parent = tally.parent or promoted.parent


def _set_aside(job: Job, ids: Sequence[str], refused: NotPromoted, tally: Tally) -> None:
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


def _parts(waiting: Sequence[Correction]) -> list[list[Correction]]:
    """By label where there are several, in halves where there is one."""
    labels = list(dict.fromkeys(correction.label for correction in waiting))
    if len(labels) > 1:
        return [[c for c in waiting if c.label == label] for label in labels]
    half = len(waiting) // 2
    return [list(waiting[:half]), list(waiting[half:])]
