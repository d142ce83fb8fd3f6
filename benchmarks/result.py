"""What a benchmark prints and writes: figures with mean and spread, and the command behind them."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over several seeds.

    Attributes:
        mean: of the values.
        sd: sample standard deviation; 0 for a single value.
        values: one a seed.
    """

    mean: float
    sd: float
    values: tuple[float, ...]


def figure_of(values: Sequence[float]) -> Figure:
    """Mean and spread of values, of which there is at least one."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return Figure(statistics.fmean(values), spread, tuple(values))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result there")
    parser.add_argument("--quick", action="store_true", help="a short run")


def report(figures: Mapping[str, Figure], config: Mapping[str, object], path: Path | None) -> None:
    """Print the figures as a table, and write them as JSON where a path is given."""
    width = max(len(name) for name in figures)
    print(f"{'figure':<{width}}  {'mean':>9}  {'sd':>8}  values")
    for name, figure in figures.items():
        values = " ".join(f"{value:.4g}" for value in figure.values)
        print(f"{name:<{width}}  {figure.mean:>9.4f}  {figure.sd:>8.4f}  {values}")
    if path is not None:
        document = {
            "figures": {name: asdict(figure) for name, figure in figures.items()},
            "config": {**config, "commit": _commit()},
            "command": _command(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _command() -> str:
    module = Path(sys.argv[0]).stem
    return " ".join(["python", "-m", f"benchmarks.{module}", *sys.argv[1:]])


def _commit() -> str:
    line = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
