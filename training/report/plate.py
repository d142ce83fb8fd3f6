"""One picture of the page: a figure, and the words that go with it."""

import io
import warnings
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 11.0
"""Of a figure, in inches."""
TITLE = 0.27
"""Height of one cell's title, in inches."""
_MOST_LETTERS = 14


@dataclass(frozen=True, slots=True)
class Plate:
    """One picture.

    Attributes:
        name: of the file, and of the place in the page.
        title: its heading.
        caption: how to read it, or why there is nothing to draw.
        alt: what it shows, for a reader who does not see it.
        figure: the picture; None where there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure | None


def png_of(figure: Figure) -> bytes:
    """A figure as PNG."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The font lacks some scripts that a label may be written in; the tables have its name.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            content,
            format="png",
            dpi=110,
            bbox_inches="tight",
            pil_kwargs={"compress_level": 9},
        )
    return content.getvalue()


def short(label: str | None) -> str:
    """A label that fits over a cell; ``free`` where a channel has none."""
    if label is None:
        return "free"
    return label if len(label) <= _MOST_LETTERS else label[: _MOST_LETTERS - 1] + "…"


def canvas(columns: int, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, [figure.add_subplot(1, columns, i + 1) for i in range(columns)]


def grid(
    count: int, columns: int, height: float, *, titles: int = 1, head: float = 0.0, gap: float = 0.1
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` > 0 cells in rows.

    Args:
        count: of cells.
        columns: cells in a row.
        height: of a cell without its title, inches.
        titles: lines over every cell.
        head: room over all, such as for a legend, inches.
        gap: between the columns, as a share of a cell.
    """
    rows = -(-count // columns)
    over = TITLE + 0.15 * (titles - 1)
    total = rows * (height + over) + head
    figure = Figure(figsize=(WIDTH, total))
    # The layouts that matplotlib solves for take half a minute with so many cells.
    figure.subplots_adjust(
        left=0.01,
        right=0.99,
        bottom=0.0,
        top=1.0 - (over + head) / total,
        hspace=over / height,
        wspace=gap,
    )
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
