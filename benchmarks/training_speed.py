"""How fast training is: time to an accuracy beside Pyro's, the step beside its floor, growth.

python -m benchmarks.training_speed --data mnist --labels 100 --picture var/curves.png
python -m benchmarks.training_speed --data mnist --part step --part growth

curve   seconds of training until the test accuracy reaches each target, ours and Pyro's
        semi-supervised VAE one after the other on this machine. The clock stands still while
        accuracy is measured: ours after every epoch, Pyro's every few seconds.
step    images per second of the training step, beside a bare pass of the encoder
growth  seconds per epoch as the data grow

A target that was not reached is null.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from benchmarks.curve import Budget, Curve, curve_figures, our_curve, pyro_curve
from benchmarks.curve_picture import draw_curves
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from benchmarks.throughput import growth_figures, step_figures
from training.config import RunConfig
from training.data import load_dataset
from training.recipe import settled

PARTS = ("curve", "step", "growth")
TARGETS = (0.90, 0.95, 0.98, 0.99)
QUICK = ("data.limit=2000", "fit.epochs=4")
QUICK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and for how long.

    Attributes:
        parts: of ``PARTS``.
        targets: accuracies.
        budget: of Pyro's training.
        limits: numbers of training inputs for the growth.
        epochs: that are timed for the step and for the growth.
        steps: of the encoder that are timed for the floor.
    """

    parts: tuple[str, ...]
    targets: tuple[float, ...]
    budget: Budget
    limits: tuple[int, ...]
    epochs: int
    steps: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("training_speed", given)
    config = run_config(options, QUICK if options.quick else ())
    seeds = seeds_of(options, 1 if options.quick else None)
    plan = _plan(options)
    runs: list[dict[str, float | None]] = []
    curves: list[Curve] = []
    for seed in tqdm(seeds, desc="seeds", unit="seed"):
        figures, drawn = _measure(replace(config, seed=seed), plan)
        runs.append(figures)
        curves += drawn
        tqdm.write(_line(seed, figures), file=sys.stderr)
        _write(options, _result(origin, seeds[: len(runs)], config, plan, runs, curves))
    if options.picture is not None and curves:
        draw_curves(curves, plan.targets, options.picture)
    print_figures(figures_of(runs))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("training_speed", __doc__, data="mnist", seeds=1)
    parser.add_argument("--part", action="append", choices=PARTS, help="without it all of them")
    parser.add_argument("--targets", type=float, nargs="+", default=TARGETS, help="in (0, 1]")
    parser.add_argument(
        "--budget-seconds", type=float, default=900.0, help="of Pyro's training at the most"
    )
    parser.add_argument("--every-seconds", type=float, default=5.0, help="between its measurements")
    parser.add_argument(
        "--limits", type=int, nargs="+", default=(10_000, 20_000, 40_000, 60_000), help="of growth"
    )
    parser.add_argument("--epochs", type=int, default=2, help="timed for step and growth")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the curves there, PNG")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> Plan:
    quick = options.quick
    budget = min(options.budget_seconds, QUICK_SECONDS) if quick else options.budget_seconds
    every = min(options.every_seconds, budget / 5)
    return Plan(
        parts=tuple(options.part or PARTS),
        targets=tuple(options.targets),
        budget=Budget(budget, every, max(options.targets)),
        limits=(500, 1000) if quick else tuple(options.limits),
        epochs=1 if quick else options.epochs,
        steps=5 if quick else 50,
    )


def _measure(config: RunConfig, plan: Plan) -> tuple[dict[str, float | None], list[Curve]]:
    figures: dict[str, float | None] = {}
    curves: list[Curve] = []
    dataset = load_dataset(config.data, config.seed)
    run = settled(config, dataset)
    if "curve" in plan.parts:
        ours, pyro = our_curve(dataset, run), pyro_curve(dataset, run, plan.budget)
        curves = [ours, pyro]
        figures.update(curve_figures(ours, pyro, plan.targets))
    if "step" in plan.parts:
        figures.update(step_figures(dataset, run, plan.epochs, plan.steps))
    if "growth" in plan.parts:
        figures.update(growth_figures(run, plan.limits, plan.epochs))
    return figures, curves


def _line(seed: int, figures: dict[str, float | None]) -> str:
    shown = (f"{name} {'-' if v is None else format(v, '.4g')}" for name, v in figures.items())
    return f"seed {seed}: " + "  ".join(shown)


def _result(
    origin: Provenance,
    seeds: Sequence[int],
    config: RunConfig,
    plan: Plan,
    runs: Sequence[dict[str, float | None]],
    curves: Sequence[Curve],
) -> Result:
    return Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(seeds),
        config={"run": shown(config), "plan": asdict(plan)},
        figures=figures_of(runs),
        curves=tuple(asdict(curve) for curve in curves),
    )


def _write(options: argparse.Namespace, result: Result) -> None:
    if options.json is not None:
        write_result(result, options.json)


if __name__ == "__main__":
    sys.exit(main())
