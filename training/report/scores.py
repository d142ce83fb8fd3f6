"""Picture of both scores: how strange inputs are, and how unowned."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from training.report.findings import Findings
from training.report.plate import Plate, canvas

_SMALLEST = 1e-3
_BINS = 40


def alarm_above(sample: NDArray[np.float64], alpha: float) -> float | None:
    """The score above which the p-value is at most ``alpha``; None where no score is enough.

    p = (1 + #{sample >= s}) / (n + 1) <= alpha just where at most alpha (n + 1) - 1 of the sample
    reach s.

    Args:
        sample: calibration scores in ascending order, (n,).
        alpha: in (0, 1).
    """
    # The rounding of a product of two floats must not cost a whole rank.
    most = math.floor(alpha * (sample.size + 1) * (1 + 1e-12)) - 1
    # Nor give one that p, as it is computed, does not have.
    most -= (1 + most) / (sample.size + 1) > alpha
    return float(sample[sample.size - 1 - most]) if 0 <= most < sample.size else None


def draw_scores(findings: Findings) -> Plate:
    """Both scores, for what is known and what is not, with the thresholds at the default alpha."""
    figure, (left, right) = canvas(2)
    alpha = findings.calibration.alpha
    samples = {"fused": findings.calibration.fused, "unowned": findings.calibration.owned}
    for axis, name in ((left, "fused"), (right, "unowned")):
        _histogram(axis, findings, name)
        bound = alarm_above(np.array(samples[name]), alpha / 2)
        if bound is not None and (name != "fused" or bound > 0):
            axis.axvline(bound, color="black", linewidth=1, linestyle="--", label="alarm above")
        axis.legend(fontsize=8)
    left.set_title("question 1: how strange (fused)")
    right.set_title("question 2: how unowned")
    figures = findings.evaluation
    return Plate(
        "scores",
        "Out of distribution: the two questions",
        "Test inputs of labelled classes, test inputs of classes without a label, inverted test "
        "inputs and uniform noise; higher is stranger. Right of the dashed line an input raises "
        f"an alarm at the bundle's default alpha of {alpha:g}, half of it for each question.",
        f"Histograms of two scores. Answered out of distribution: {figures.noise_detected:.1%} of "
        f"noise, {figures.inverted_detected:.1%} of inverted inputs. False alarms on known "
        f"inputs: {figures.false_alarms:.1%}",
        figure,
    )


def _histogram(axis: Axes, findings: Findings, name: str) -> None:
    column, known = findings.test.score_names.index(name), findings.is_labelled
    groups = {
        "known": findings.test.scores[known, column],
        "unlabelled class": findings.test.scores[~known, column],
        "inverted": findings.inverted.scores[:, column],
        "noise": findings.noise.scores[:, column],
    }
    edges = _edges(np.concatenate(list(groups.values())), in_logs=name == "fused")
    for label, group in groups.items():
        if group.size:
            kept = np.clip(group, edges[0], edges[-1])
            axis.hist(kept, edges.tolist(), alpha=0.55, label=f"{label} ({group.size})")
    axis.set_xscale("log" if name == "fused" else "linear")
    axis.set_yscale("log")
    for side in (axis.xaxis, axis.yaxis)[name != "fused" :]:
        # The default one writes powers as formulas, which the page has turned off for labels.
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.set_minor_formatter(NullFormatter())
    axis.set(xlabel="score (higher is stranger)", ylabel="inputs")


def _edges(values: NDArray[np.floating], *, in_logs: bool) -> NDArray[np.float64]:
    """Ascending edges of the bins over all values, (_BINS + 1,)."""
    low, high = float(values.min()), float(values.max())
    if in_logs:
        low = max(low, _SMALLEST)
        return np.geomspace(low, max(high, 2 * low), _BINS + 1)
    return np.linspace(low, max(high, low + _SMALLEST), _BINS + 1)
