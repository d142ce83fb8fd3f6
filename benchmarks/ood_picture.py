"""The outliers that look most familiar, a row for each set that has any missed."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.ood_run import Misses

MISSED = 0.005
"""An input is missed at alpha 1 % where its p-value is above half of that."""

_DPI = 64


def draw_misses(misses: Mapping[str, Misses], path: Path) -> None:
    """Draw a grid as PNG; over each image its p-value. Sets that are caught whole are left out.

    Where all of them are, they are shown all the same.
    """
    rows = {name: row for name, row in misses.items() if row.p_familiar.max() > MISSED} or misses
    columns = max(len(row.x) for row in rows.values())
    figure = Figure(figsize=(1.0 * columns + 2.2, 1.25 * len(rows)), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        words = name.replace("_", " ")
        line[0].text(-0.15, 0.5, words, ha="right", va="center", transform=line[0].transAxes)
        for axis in line:
            axis.axis("off")
        for axis, image, p in zip(line, row.x, row.p_familiar.tolist(), strict=False):
            axis.imshow(image[0], cmap="gray", vmin=0.0, vmax=1.0)
            axis.set_title(f"{p:.3f}", fontsize=9, pad=2)
    figure.subplots_adjust(left=0.2, right=0.99, top=0.95, bottom=0.01, hspace=0.35)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_png(path)  # type: ignore[no-untyped-call]
