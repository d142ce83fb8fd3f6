"""A picture of accuracy against seconds."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.curve import Curve

SECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
COLOURS = {"ours": "#1f5fa8", "pyro": "#c2571a"}


def draw_curves(curves: Sequence[Curve], targets: Sequence[float], path: Path) -> None:
    """Write a PNG: one line a curve, seconds on a logarithmic axis, the targets as thin lines.

    Accuracy is drawn as errors on a logarithmic axis, as else 98 and 99 % could not be told apart.
    """
    mpl.use("Agg")
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for target in targets:
        axes.axhline(100 * (1 - target), color="#cccccc", linewidth=0.8, zorder=0)
    named: set[str] = set()
    for curve in curves:
        seconds = [point.seconds for point in curve.points]
        # An error of nought has no logarithm.
        errors = [max(100 * (1 - point.accuracy), 0.01) for point in curve.points]
        label = None if curve.name in named else curve.name
        named.add(curve.name)
        axes.plot(seconds, errors, ".-", color=COLOURS.get(curve.name), label=label, alpha=0.8)
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="test errors, %")
    ticks = sorted({100 * (1 - target) for target in targets} | {20.0, 50.0})
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    seconds = [point.seconds for curve in curves for point in curve.points]
    marks = [mark for mark in SECONDS if min(seconds) / 2 <= mark <= max(seconds)]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
