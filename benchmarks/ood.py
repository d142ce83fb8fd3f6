"""What is unlike the training stream, and which score sees it; beside it scores over a CNN.

python -m benchmarks.ood --data mnist --other fashion-mnist --labels 100 --seeds 5
python -m benchmarks.ood --data fashion-mnist --other mnist --runs runs/a runs/b --pictures var
python -m benchmarks.ood --table result.json

Every set of outliers is for measuring only: nothing is fitted or chosen on it. Figures are named
set/score/figure; ``benchmarks/separation.py`` defines them. The peers are scores over one CNN
trained with the same labels (``cnn_few``) and over one trained with all labels (``cnn_all``).
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.fitted import Fitted, fit_seed, read_fitted
from benchmarks.ood_picture import draw_misses
from benchmarks.ood_run import Measured, Plan, measure_ood
from benchmarks.ood_table import seen_table
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    read_result,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from training.config import RunConfig

QUICK = ("data.limit=1000", "fit.epochs=3", "fit.restarts=0")
PEERS = ("few", "all")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    if options.table is not None:
        print(seen_table(read_result(options.table), options.figure))
        return 0
    origin = provenance("ood", given)
    plan = _plan(options)
    seeds: list[int] = []
    runs: list[Mapping[str, float]] = []
    for fitted in _fitted(options):
        measured = measure_ood(fitted, plan)
        seeds.append(fitted.run.seed)
        runs.append(measured.figures)
        tqdm.write(_line(seeds[-1], measured), file=sys.stderr)
        if options.pictures is not None:
            draw_misses(measured.misses, options.pictures / f"misses-{seeds[-1]}.png")
        if options.json is not None:
            write_result(_result(origin, seeds, fitted.run, plan, runs), options.json)
    figures = figures_of(runs)
    print_figures({name: figures[name] for name in figures if _is_ours(name)})
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("ood", __doc__, data="mnist", seeds=3)
    parser.add_argument("--other", help="another source of images, in RCMVAE_DATA_DIR")
    parser.add_argument("--runs", type=Path, nargs="+", metavar="DIR", help="trained already")
    parser.add_argument("--inputs", type=int, default=2000, help="of each set, at the most")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="which CNNs")
    parser.add_argument("--cnn-steps", type=int, default=1000, help="of the CNN's optimiser")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw the worst misses there")
    parser.add_argument("--table", type=Path, metavar="PATH", help="only print a result's table")
    parser.add_argument("--figure", default="auroc", help="of the table, such as fpr95")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        other=options.other,
        inputs=min(options.inputs, 200) if options.quick else options.inputs,
        peers=tuple(options.peers),
        cnn_steps=min(options.cnn_steps, 20) if options.quick else options.cnn_steps,
    )


def _fitted(options: argparse.Namespace) -> Iterator[Fitted]:
    if options.runs:
        for path in tqdm(options.runs, desc="runs", unit="run"):
            yield read_fitted(path)
        return
    config = run_config(options, QUICK if options.quick else ())
    for seed in tqdm(seeds_of(options, 1 if options.quick else None), desc="seeds", unit="seed"):
        yield fit_seed(config, seed)


def _is_ours(name: str) -> bool:
    return "/" not in name or name.endswith(("/fused/auroc", "/fused/fpr95"))


def _line(seed: int, measured: Measured) -> str:
    short = ("worst_auroc", "worst_fpr95", "false_alarms_at_0.01", "false_alarms_at_0.05")
    return f"seed {seed}: " + "  ".join(f"{name} {measured.figures[name]:.4g}" for name in short)


def _result(
    origin: Provenance,
    seeds: Sequence[int],
    run: RunConfig,
    plan: Plan,
    runs: Sequence[Mapping[str, float]],
) -> Result:
    config: dict[str, JsonValue] = {"run": shown(run), "plan": plan.shown()}
    return Result(origin.commit, origin.command, tuple(seeds), config, figures_of(runs))


if __name__ == "__main__":
    sys.exit(main())
