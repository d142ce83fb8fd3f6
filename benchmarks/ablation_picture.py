"""A picture of what each choice is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import matplotlib as mpl
from matplotlib.figure import Figure


def draw_ablation(accuracy: Mapping[str, Sequence[float]], base: str, path: Path) -> None:
    """Write a PNG: one row a variant, one dot a seed, a line at the mean of the base.

    Args:
        accuracy: of every variant, one value a seed, in [0, 1].
        base: name of the variant that the others differ from.
        path: of the PNG.
    """
    mpl.use("Agg")
    names = sorted(accuracy, key=lambda name: fmean(accuracy[name]))
    figure = Figure(figsize=(7.5, 1.0 + 0.24 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(100 * fmean(accuracy[base]), color="#cccccc", zorder=0)
    for row, name in enumerate(names):
        colour = "#c2571a" if name == base else "#1f5fa8"
        values = [100 * value for value in accuracy[name]]
        axes.plot(values, [row] * len(values), ".", color=colour, alpha=0.6)
        axes.plot([fmean(values)], [row], "|", color=colour, markersize=11)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="accuracy on held-out inputs, %", ylim=(-1, len(names)))
    axes.grid(axis="x", color="#eeeeee")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
