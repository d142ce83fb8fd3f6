"""A picture of accuracy against the labels asked for."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.active_seed import TARGETS, AskedCurve


def draw_asked(curves: Sequence[AskedCurve], path: Path) -> None:
    """Write a PNG: one line a plan and seed, errors on a logarithmic axis, the targets thin.

    Chance is drawn black, fits anew thick, the supervised network dashed.
    """
    mpl.use("Agg")
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    for target in TARGETS:
        axes.axhline(100 * (1 - target), color="#cccccc", linewidth=0.8, zorder=0)
    names = list(dict.fromkeys(curve.name for curve in curves))
    colours = mpl.colormaps["tab20"]
    for curve in curves:
        place = names.index(curve.name)
        first = curve is next(other for other in curves if other.name == curve.name)
        axes.plot(
            [point.labels for point in curve.points],
            # An error of nought has no logarithm.
            [max(100 * (1 - point.accuracy), 0.01) for point in curve.points],
            color="black" if curve.name == "random" else colours(place % 20),
            linestyle="--" if curve.name.startswith("cnn") else "-",
            linewidth=2.0 if "fitted" in curve.name else 1.0,
            label=curve.name if first else None,
        )
    axes.set(yscale="log", xlabel="labels asked for", ylabel="test errors, %")
    ticks = sorted({round(100 * (1 - target), 6) for target in TARGETS} | {10.0, 20.0, 50.0})
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
