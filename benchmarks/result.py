"""What a benchmark prints and writes: figures with mean and spread, and the command behind them."""

import argparse
import json
import shlex
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from training.checkpoint import replace_file

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over several seeds.

    Attributes:
        mean: of the values; None where a seed has none.
        sd: sample standard deviation; 0 for a single value, None where a seed has none.
        values: one a seed; None for what was not reached.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]

    @property
    def range(self) -> tuple[float, float] | None:
        """Lowest and highest value; None where no seed has one."""
        found = [value for value in self.values if value is not None]
        return (min(found), max(found)) if found else None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from.

    Attributes:
        commit: short hash at the start of the run; ``-dirty`` where tracked files had changed.
        command: what was typed.
    """

    commit: str
    command: str


@dataclass(frozen=True, slots=True)
class Result:
    """A result as it is written.

    Attributes:
        commit: see ``Provenance``.
        command: see ``Provenance``.
        seeds: one for each value of a figure, in the same order.
        config: everything that decides the figures but the seeds.
        figures: by name.
        curves: accuracy against seconds, where a benchmark has them.
        parts: the commands of the results that this one was merged from.
    """

    commit: str
    command: str
    seeds: tuple[int, ...]
    config: Mapping[str, JsonValue]
    figures: Mapping[str, Figure]
    curves: tuple[Mapping[str, JsonValue], ...] = ()
    parts: tuple[str, ...] = field(default=())


_ADAPTER: TypeAdapter[Result] = TypeAdapter(Result)


def figure_of(values: Sequence[float | None]) -> Figure:
    """Mean and spread of values, of which there is at least one."""
    reached = [value for value in values if value is not None]
    if len(reached) < len(values):
        return Figure(None, None, tuple(values))
    spread = statistics.stdev(reached) if len(reached) > 1 else 0.0
    return Figure(statistics.fmean(reached), spread, tuple(values))


def figures_of(runs: Sequence[Mapping[str, float | None]]) -> dict[str, Figure]:
    """Figures over the runs of several seeds, which all have the same names."""
    return {name: figure_of([run[name] for run in runs]) for name in runs[0]}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result there")
    parser.add_argument("--quick", action="store_true", help="a short run")


def provenance(module: str, arguments: Sequence[str]) -> Provenance:
    """Commit and command of a run that starts now; folders of this machine are left out of it."""
    given = [Path(word).name if Path(word).is_absolute() else word for word in arguments]
    return Provenance(_commit(), shlex.join(["python", "-m", f"benchmarks.{module}", *given]))


def print_figures(figures: Mapping[str, Figure]) -> None:
    """Print the figures as a table."""
    width = max(len(name) for name in figures)
    print(f"{'figure':<{width}}  {'mean':>9}  {'sd':>8}  {'lowest':>9}  {'highest':>9}  values")
    for name, figure in figures.items():
        low, high = figure.range or (None, None)
        values = " ".join(_shown(value, ".4g") for value in figure.values)
        columns = f"{_shown(figure.mean):>9}  {_shown(figure.sd):>8}"
        print(f"{name:<{width}}  {columns}  {_shown(low):>9}  {_shown(high):>9}  {values}")


def _shown(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else format(value, form)


def write_result(result: Result, path: Path) -> None:
    """Write the result as JSON, in one step: a killed run leaves the last whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(asdict(result), indent=2) + "\n").encode())


def read_result(path: Path) -> Result:
    """Read a result back.

    Raises:
        pydantic.ValidationError: the file holds no result.
    """
    return _ADAPTER.validate_json(path.read_bytes())


def _commit() -> str:
    found = _git("rev-parse", "--short", "HEAD")
    # Results are overwritten by the very runs that they come from.
    changed = _git("status", "--porcelain", "--untracked-files=no", ".", ":!benchmarks/results")
    return f"{found or 'unknown'}{'-dirty' if changed else ''}"


def _git(*arguments: str) -> str:
    line = ["git", *arguments]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()
