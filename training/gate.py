"""The gate: what becomes of a candidate, by the frozen golden set.

Every check compares the candidate with the version that it would replace, on the same inputs, so
that one that answers alike passes whatever the golden set is. docs/decisions/0015 has the rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from rcmvae.bundle import Bundle, GateCheck, GateOutcome, GateReport
from rcmvae.bundle.manifest import GOLDEN
from training.data import NO_LABEL
from training.draft import FITTED_ACCURACY, FITTED_RECALL
from training.golden_run import GoldenAnswers, golden_answers
from training.golden_set import read_golden

_ROUNDING = 1e-9
_WORST_FIRST = (GateOutcome.REJECT, GateOutcome.HOLD, GateOutcome.PROMOTE)


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What the gate allows. Within these a candidate is promoted, tests or not.

    Attributes:
        accuracy_drop: largest drop of the accuracy on the golden set below the parent's.
        total_drop: largest drop below the accuracy right after the last fit or refit, so that many
            small losses do not add up unseen.
        class_drop: largest drop of any one class's recall, beyond one example.
        class_total_drop: the floor of every class: its recall right after the last fit or refit,
            less this.
        level: a drop beyond what is allowed is rejected where the paired test says at this level
            that it is one; of the classes at this level over their number. Else it is held.
        interval: level at which too many false alarms, or too few sets that hold the truth, hold a
            candidate.
    """

    accuracy_drop: float = 0.01
    total_drop: float = 0.02
    class_drop: float = 0.1
    class_total_drop: float = 0.2
    level: float = 0.05
    interval: float = 0.001


def judge(parent: Bundle, candidate: Bundle, config: GateConfig) -> GateReport:
    """Compare a candidate with its parent; neither has to be on disk.

    Args:
        parent: the version that it would replace.
        candidate: with the golden set of the parent, byte for byte; any other is rejected.
        config: what is allowed.
    """
    if parent.manifest.files[GOLDEN] != candidate.manifest.files[GOLDEN]:
        return _rejected("golden set: expected the parent's, byte for byte, got another")
    golden = read_golden(parent.read(GOLDEN)).examples
    known = np.flatnonzero(golden.y != NO_LABEL)
    if not known.size:
        return _rejected("golden set: expected labelled inputs to judge by, got none")
    truth = np.array(parent.manifest.labels)[golden.y[known]]
    before = Seen.of(golden_answers(parent), known, truth)
    after = Seen.of(golden_answers(candidate), known, truth)
    return compare(truth, before, after, parent.manifest.metrics, config)


def compare(
    truth: NDArray[np.str_],
    before: "Seen",
    after: "Seen",
    metrics: Mapping[str, float],
    config: GateConfig,
) -> GateReport:
    """All checks on m labelled golden inputs.

    Args:
        truth: names, (m,).
        before: how the parent does on them.
        after: how the candidate does.
        metrics: of the parent, from which the floors are.
        config: what is allowed.
    """
    paired = _accuracy(before.right, after.right, config)
    others = (
        _total(before, after, metrics, config),
        *_classes(truth, before, after, metrics, config),
        _rate("false_alarms", before.flagged, after.flagged, after.alpha, config),
        _rate("coverage", before.missed, after.missed, after.alpha, config),
    )
    return _report(before, after, (paired, *(c for c in others if _fails(c))))


def worst_report(reports: Sequence[GateReport]) -> GateReport | None:
    """The first of the worst; None of none."""
    return min(reports, key=lambda report: _WORST_FIRST.index(report.outcome), default=None)


@dataclass(frozen=True, slots=True)
class Seen:
    """How a bundle does on the labelled golden inputs, m of them; every array is (m,).

    Attributes:
        right: the label is.
        flagged: answered anything but ``known`` at the bundle's alpha.
        missed: the prediction set at alpha does not hold the truth.
        alpha: the bundle's.
    """

    right: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    missed: NDArray[np.bool_]
    alpha: float

    @classmethod
    def of(
        cls, answers: GoldenAnswers, known: NDArray[np.int64], truth: NDArray[np.str_]
    ) -> "Seen":
        """Of the golden inputs at ``known``, whose labels are ``truth``."""
        names, half = np.array(answers.labels), answers.alpha / 2
        p_familiar, p_owned = answers.p_familiar[known], answers.p_owned[known]
        is_true = names == truth[:, None]
        covered = (is_true & (answers.label_p_values[known] > answers.alpha)).any(axis=1)
        return cls(
            right=np.asarray(names[answers.predicted[known]] == truth),
            flagged=(p_familiar <= half) | (p_owned <= half),
            missed=~covered,
            alpha=answers.alpha,
        )


def mcnemar(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """One-sided exact p-value that answers got worse (McNemar 1947): P(Bin(b + c, 1/2) >= b).

    Args:
        before: which are right by the one, (m,).
        after: by the other; b inputs are right by the first alone, c by the second alone.
    """
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    return float(binom.sf(lost - 1, lost + won, 0.5)) if lost + won else 1.0


def _accuracy(before: NDArray[np.bool_], after: NDArray[np.bool_], config: GateConfig) -> GateCheck:
    p = mcnemar(before, after)
    floor = float(before.mean()) - config.accuracy_drop
    return GateCheck(
        check="accuracy",
        outcome=_beyond(after.mean() < floor - _ROUNDING, p, config.level),
        detail=f"golden accuracy: expected at least {floor:.4f}, got {after.mean():.4f}",
        p_value=p,
    )


def _total(
    before: Seen, after: Seen, metrics: Mapping[str, float], config: GateConfig
) -> GateCheck:
    floor = metrics.get(FITTED_ACCURACY, 0.0) - config.total_drop
    accuracy = float(after.right.mean())
    is_low = accuracy < floor - _ROUNDING and accuracy < before.right.mean()
    return GateCheck(
        check="total_accuracy",
        outcome=GateOutcome.HOLD if is_low else GateOutcome.PROMOTE,
        detail=f"golden accuracy since the last fit: expected at least {floor:.4f}, "
        f"got {accuracy:.4f}",
    )


def _classes(
    truth: NDArray[np.str_],
    before: Seen,
    after: Seen,
    metrics: Mapping[str, float],
    config: GateConfig,
) -> list[GateCheck]:
    labels = np.unique(truth).tolist()
    checks = []
    for label in labels:
        own = truth == label
        was, now = before.right[own], after.right[own]
        floor = metrics.get(FITTED_RECALL + label, 0.0) - config.class_total_drop
        checks.append(_class_drop(label, was, now, config.level / len(labels), config.class_drop))
        checks.append(_class_floor(label, was, now, floor))
    return checks


def _class_drop(
    label: str, was: NDArray[np.bool_], now: NDArray[np.bool_], level: float, most: float
) -> GateCheck:
    allowed = max(1.0, most * was.size)
    lost = int(was.sum()) - int(now.sum())
    p = mcnemar(was, now)
    return GateCheck(
        check="class",
        label=label,
        outcome=_beyond(lost > allowed, p, level),
        detail=f"label {label!r}: expected at most {allowed:g} golden inputs lost, got {lost}",
        p_value=p,
    )


def _class_floor(
    label: str, was: NDArray[np.bool_], now: NDArray[np.bool_], floor: float
) -> GateCheck:
    is_low = now.mean() < floor - _ROUNDING and now.mean() < was.mean()
    return GateCheck(
        check="class_floor",
        label=label,
        outcome=GateOutcome.HOLD if is_low else GateOutcome.PROMOTE,
        detail=f"label {label!r}: expected a recall of at least {floor:.4f}, got {now.mean():.4f}",
    )


def _rate(
    check: str,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    alpha: float,
    config: GateConfig,
) -> GateCheck:
    """Whether more inputs are flagged, or missed by their set, than alpha lets expect."""
    count = int(after.sum())
    p = float(binom.sf(count - 1, after.size, alpha))
    most = int(binom.isf(config.interval, after.size, alpha))
    is_high = p <= config.interval and count > int(before.sum())
    return GateCheck(
        check=check,
        outcome=GateOutcome.HOLD if is_high else GateOutcome.PROMOTE,
        detail=f"{check.replace('_', ' ')}: expected at most {most} of {after.size} golden inputs "
        f"{'outside their sets' if check == 'coverage' else 'flagged'}, got {count}",
        p_value=p,
    )


def _beyond(is_beyond: bool | np.bool_, p: float, level: float) -> GateOutcome:
    if not is_beyond:
        return GateOutcome.PROMOTE
    return GateOutcome.REJECT if p <= level else GateOutcome.HOLD


def _fails(check: GateCheck) -> bool:
    return check.outcome is not GateOutcome.PROMOTE


def _report(before: Seen, after: Seen, checks: tuple[GateCheck, ...]) -> GateReport:
    outcomes = [check.outcome for check in checks]
    worst = min(outcomes, key=_WORST_FIRST.index)
    return GateReport(
        outcome=worst,
        reason="; ".join(check.detail for check in checks if _fails(check)),
        examples=after.right.size,
        parent_accuracy=float(before.right.mean()),
        candidate_accuracy=float(after.right.mean()),
        checks=checks,
    )


def _rejected(reason: str) -> GateReport:
    check = GateCheck(check="golden_set", outcome=GateOutcome.REJECT, detail=reason)
    return GateReport(
        outcome=GateOutcome.REJECT,
        reason=reason,
        examples=0,
        parent_accuracy=0.0,
        candidate_accuracy=0.0,
        checks=(check,),
    )
