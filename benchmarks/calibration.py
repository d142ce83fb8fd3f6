"""Whether doubt can be trusted: calibration error, Brier score and prediction sets over seeds.

python -m benchmarks.calibration --data digits --labels 100 --seeds 10
python -m benchmarks.calibration --runs runs/mnist-0 runs/mnist-1 --peers none
python -m benchmarks.calibration --merge a.json b.json --json both.json

Of every seed three calibrations of the same network are judged on the test set:

ours           temperature and alpha0 by leaving one out, thresholds by held-out labels (default)
few_labels     thresholds by leaving one out too: no label but those of the map
held_out       temperature by held-out labels, alpha0 as configured: what stood before

With ``--runs`` the networks are those of run folders or bundles, else they are fitted here. The
peer is a supervised network on the same labels, as it is and with a temperature from the held-out
labels; its thresholds come from held-out labels as ours do.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.calibration_run import Subject, fitted, measure, opened
from benchmarks.merge import merged
from benchmarks.peers.supervised_cnn import STEPS, SupervisedCnn
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from rcmvae.errors import RcmvaeError
from training.config import RunConfig

QUICK_SEEDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, or merge what it wrote."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("calibration", given)
    result = merged(options.merge, origin) if options.merge else _measured(options, origin)
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("calibration", __doc__, data="digits", seeds=10)
    parser.add_argument(
        "--runs", type=Path, nargs="+", metavar="DIR", help="finished runs, or bundles"
    )
    parser.add_argument("--peers", choices=("cnn", "none"), default="cnn")
    parser.add_argument("--cnn-steps", type=int, default=STEPS, help="of the supervised network")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="PATH", help="results to merge")
    return parser.parse_args(arguments)


def _measured(options: argparse.Namespace, origin: Provenance) -> Result:
    peer = SupervisedCnn(steps=options.cnn_steps) if options.peers == "cnn" else None
    judged: list[tuple[RunConfig, Mapping[str, float]]] = []
    for subject in tqdm(_subjects(options), desc="seeds", unit="seed"):
        judged.append((subject.config, measure(subject, peer)))
        tqdm.write(_line(*judged[-1]), file=sys.stderr)
        if options.json is not None:
            write_result(_result(origin, peer, judged), options.json)
    return _result(origin, peer, judged)


def _subjects(options: argparse.Namespace) -> Iterator[Subject]:
    """What is judged: what is there, or a fit for every seed."""
    if options.runs:
        yield from (_opened(path) for path in options.runs)
        return
    config = run_config(options)
    for seed in seeds_of(options, QUICK_SEEDS if options.quick else None):
        yield fitted(config, seed)


def _opened(path: Path) -> Subject:
    try:
        return opened(path)
    except RcmvaeError as error:
        raise SystemExit(f"--runs: {error}") from None


def _result(
    origin: Provenance,
    peer: SupervisedCnn | None,
    judged: Sequence[tuple[RunConfig, Mapping[str, float]]],
) -> Result:
    settings: dict[str, JsonValue] = {} if peer is None else {"cnn": asdict(peer)}
    return Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(config.seed for config, _ in judged),
        # Without its seed, so that results over different seeds can be merged.
        config={"run": shown(replace(judged[-1][0], seed=0)), "peers": settings},
        figures=figures_of([figures for _, figures in judged]),
    )


def _line(config: RunConfig, figures: Mapping[str, float]) -> str:
    """The figures of one seed that one wants to see at once."""
    seen = ("accuracy", "ece", "coverage_99", "size_99", "coverage_95")
    return f"seed {config.seed}: " + "  ".join(f"{name} {figures[name]:.4g}" for name in seen)


if __name__ == "__main__":
    sys.exit(main())
