"""Which score sees what: a result as a table in Markdown."""

from collections.abc import Sequence

from benchmarks.result import Result

_PARTS = 3


def seen_table(result: Result, figure: str = "auroc") -> str:
    """A row for each score, a column for each set; means over the seeds, three digits.

    Args:
        result: of `benchmarks.ood` or `benchmarks.open_set`.
        figure: of ``Separation``.
    """
    cells = {
        (parts[0], parts[1]): found.mean
        for name, found in result.figures.items()
        if len(parts := name.split("/")) == _PARTS and parts[2] == figure
    }
    sets = list(dict.fromkeys(where for where, _ in cells))
    scores = list(dict.fromkeys(score for _, score in cells))
    head = ["score", *(name.replace("_", " ") for name in sets)]
    rows = [[f"`{score}`", *(_digits(cells.get((s, score))) for s in sets)] for score in scores]
    return "\n".join([_line(head), _line(["---"] * len(head)), *map(_line, rows)])


def _digits(value: float | None) -> str:
    """Three digits without the zero before the point; 1.00 from where it rounds to it."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value >= 0.9995 else f"{value:.3f}".removeprefix("0")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
