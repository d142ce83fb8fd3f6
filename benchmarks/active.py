"""How many labels it takes to 95, 97 and 98.5 %, by what chooses them.

python -m benchmarks.active --data digits --seeds 3
python -m benchmarks.active --data mnist --fit-at 50 --picture active.png --json active.json
python -m benchmarks.active --data mnist --runs runs/mnist-0

The network is fitted once without a single label. Then labels are asked for, batch by batch, and
only counted; with --fit-at two more plans fit anew with what was asked for until then.
Test labels only measure. Peers: chance with the same network, and a supervised network.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.active_picture import draw_asked
from benchmarks.active_seed import Budget, SeedResult, measure
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from training.run import RunFolder
from training.run_io import read_run

PUBLISHED: Mapping[str, JsonValue] = {"BatchBALD, to 95 %": 195, "BALD, to 97 %": 420}
"""On MNIST, from the logs of BlackHC/BatchBALD: a Bayesian CNN on the labelled images alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("active", given)
    config = run_config(options, ["data.labels=0"])
    budget = _budget(options)
    seeds = seeds_of(options, 1 if options.quick else None)
    runs: list[RunFolder | None] = [RunFolder(path) for path in options.runs]
    runs = runs or [None for _ in seeds]
    if len(runs) != len(seeds):
        raise SystemExit(f"--runs: expected one for each of {len(seeds)} seeds, got {len(runs)}")
    results: list[SeedResult] = []
    for seed, run in zip(tqdm(seeds, desc="seeds", unit="seed"), runs, strict=True):
        found = None if run is None else read_run(run)
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(config, seed, budget, Path(folder), found))
        if options.json is not None:
            write_result(_result(origin, seeds, budget, results), options.json)
    print_figures(_result(origin, seeds, budget, results).figures)
    if options.picture is not None:
        draw_asked([curve for found in results for curve in found.curves], options.picture)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("active", __doc__, data="digits", seeds=1)
    parser.add_argument("--most", type=int, default=200, help="labels asked for in all")
    parser.add_argument("--batch", type=int, default=5, help="labels asked for at once")
    parser.add_argument("--pool", type=int, default=20_000, help="unlabelled inputs to choose from")
    parser.add_argument("--fit-at", type=int, nargs="+", default=[], metavar="LABELS")
    parser.add_argument("--fit-epochs", type=int, help="of such a fit; as the first without it")
    parser.add_argument(
        "--cnn-at",
        type=int,
        nargs="*",
        default=[20, 50, 100, 200],
        metavar="LABELS",
        help="labels at which the supervised network is trained; none leaves it out",
    )
    parser.add_argument("--cnn-steps", type=int, default=1000)
    parser.add_argument(
        "--runs", type=Path, nargs="+", default=[], help="fitted without labels, one a seed"
    )
    parser.add_argument("--picture", type=Path, metavar="PATH", help="accuracy against labels")
    return parser.parse_args(arguments)


def _budget(options: argparse.Namespace) -> Budget:
    return Budget(
        most=options.most,
        batch=options.batch,
        pool=options.pool,
        fit_at=tuple(options.fit_at),
        fit_epochs=options.fit_epochs,
        cnn_at=tuple(options.cnn_at),
        cnn_steps=options.cnn_steps,
    )


def _result(
    origin: Provenance,
    seeds: Sequence[int],
    budget: Budget,
    results: Sequence[SeedResult],
) -> Result:
    settings: dict[str, JsonValue] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(budget).items()
    }
    return Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(seeds[: len(results)]),
        config={
            "run": shown(replace(results[0].run, seed=seeds[0])),
            "budget": settings,
            "published": dict(PUBLISHED),
        },
        figures=figures_of([found.figures() for found in results]),
        curves=tuple(
            {
                "seed": curve.seed,
                "name": curve.name,
                "labels": [point.labels for point in curve.points],
                "accuracy": [point.accuracy for point in curve.points],
            }
            for found in results
            for curve in found.curves
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
