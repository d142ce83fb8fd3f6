"""Writing the page and, where asked for, its pictures."""

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from tqdm import tqdm

from rcmvae.bundle import load_bundle, load_current
from training.checkpoint import replace_file
from training.report.findings import Findings, find
from training.report.gallery import PICTURES
from training.report.page import Figure, drawn, page_of
from training.run import RunFolder
from training.run_io import read_config, read_history

_LOOKS = 4
"""Steps of ``find``, for the progress bar."""


def write_report(
    run: RunFolder,
    models: Path,
    version: str | None,
    pictures: Path | None = None,
    *,
    quiet: bool = False,
) -> Path:
    """Write `report.html` into the run's folder and return its path.

    Args:
        run: a finished run, for the curves.
        models: folder of the bundles.
        version: the bundle to look into; None for the current one.
        pictures: a folder that gets every picture as PNG, named after it; or None.
        quiet: no progress bar.
    """
    bundle = load_bundle(models / version) if version else load_current(models)
    history = read_history(run)
    # A log gets a line now and then.
    pause = 0.2 if sys.stderr.isatty() else 10.0
    steps = _LOOKS + len(PICTURES)
    with tqdm(total=steps, desc="report", disable=quiet, mininterval=pause) as bar:

        def say(step: str) -> None:
            bar.set_postfix_str(step, refresh=sys.stderr.isatty())
            bar.update()

        findings = find(bundle, history, say)
        figures = _draw(findings, bar)
    same = read_config(run) == findings.config
    page = page_of(run.path.resolve().name, findings, figures, is_same_run=same)
    if pictures is not None:
        _write_pictures(pictures, figures)
    replace_file(run.report, page.encode())
    return run.report


def _draw(findings: Findings, bar: "tqdm[Any]") -> list[Figure]:
    figures = []
    # A label is a text, not a formula: "$" is a letter.
    with mpl.rc_context({"text.parse_math": False}):
        for draw in PICTURES:
            bar.set_postfix_str(draw.__name__.removeprefix("draw_"), refresh=sys.stderr.isatty())
            figures.append(drawn(draw(findings)))
            bar.update()
    return figures


def _write_pictures(folder: Path, figures: list[Figure]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        if figure.png is not None:
            replace_file(folder / f"{figure.plate.name}.png", figure.png)
