"""Six classes with labels, four without: are the four found, and do the six stay right?

python -m benchmarks.open_set --data mnist --seeds 5
python -m benchmarks.open_set --data digits --unknown 4 --seeds 5 --stream present
python -m benchmarks.open_set --merge a.json b.json --json both.json

A seed draws the unknown classes, the split and the fit. ``present``: the unknown classes are in the
unlabelled stream, where question 2 has to tell them. ``absent``: neither training nor calibration
sees any, and either question may. Figures are named stream/score/figure; ``either`` is the
decision's own score, the smaller of the two p-values, and ``both`` is Fisher's product of them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.fitted import Fitted, fit_seed
from benchmarks.merge import merged
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from benchmarks.separation import separation
from rcmvae.decision import Decision, decide
from rcmvae.prediction import PredictionBatch
from training.config import RunConfig
from training.data import NO_LABEL, Dataset, Examples, load_source
from training.evaluate import predict_all

STREAMS = ("present", "absent")
LABELS_A_CLASS = 10
ALPHA = 0.01
QUICK = ("data.limit=1000", "fit.epochs=3", "fit.restarts=0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, or merge what it wrote."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("open_set", given)
    result = merged(options.merge, origin) if options.merge else _measured(options, origin)
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _measured(options: argparse.Namespace, origin: Provenance) -> Result:
    config = run_config(options, QUICK if options.quick else ())
    names = load_source(config.data.source).labels
    seeds = seeds_of(options, 1 if options.quick else None)
    runs: list[Mapping[str, float]] = []
    for seed in tqdm(seeds, desc="seeds", unit="seed"):
        unknown = drawn_unknown(names, options.unknown, seed)
        runs.append(_measure(_open(config, names, unknown), seed, options.stream))
        tqdm.write(_line(seed, unknown, runs[-1]), file=sys.stderr)
        if options.json is not None:
            write_result(_result(origin, seeds[: len(runs)], config, options, runs), options.json)
    return _result(origin, seeds, config, options, runs)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("open_set", __doc__, data="mnist", seeds=5)
    parser.add_argument("--unknown", type=int, default=4, help="classes without labels")
    parser.add_argument("--stream", nargs="+", choices=STREAMS, default=STREAMS)
    parser.add_argument("--merge", type=Path, nargs="+", metavar="PATH", help="results to merge")
    return parser.parse_args(arguments)


def drawn_unknown(names: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """Which classes get no label, in the order of ``names``."""
    drawn = np.random.default_rng(seed).permutation(len(names))[:count]
    return tuple(names[i] for i in sorted(drawn.tolist()))


def _open(config: RunConfig, names: Sequence[str], unknown: tuple[str, ...]) -> RunConfig:
    """Ten labels for every class but the unknown ones."""
    labels = LABELS_A_CLASS * (len(names) - len(unknown))
    return replace(config, data=replace(config.data, unlabelled_classes=unknown, labels=labels))


def without_unknown(dataset: Dataset, run: RunConfig) -> Dataset:
    """The split without the unlabelled classes, but in its test part."""
    source = load_source(run.data.source)
    unknown = [source.labels.index(name) for name in run.data.unlabelled_classes]
    kept = ~np.isin(source.train.y[dataset.split.unlabelled], unknown)
    split = replace(dataset.split, unlabelled=dataset.split.unlabelled[kept])
    return replace(
        dataset,
        split=split,
        unlabelled=dataset.unlabelled[kept],
        density=_known(dataset.density),
        calibration=_known(dataset.calibration),
    )


def _known(part: Examples) -> Examples:
    return part.take(np.flatnonzero(part.y != NO_LABEL))


def _measure(config: RunConfig, seed: int, streams: Sequence[str]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for stream in streams:
        change = without_unknown if stream == "absent" else None
        found = open_set_figures(fit_seed(config, seed, change))
        figures |= {f"{stream}/{name}": value for name, value in found.items()}
    return figures


@dataclass(frozen=True, slots=True)
class _Judged:
    """Test inputs and what was answered."""

    batch: PredictionBatch
    known: NDArray[np.bool_]

    def scores(self) -> dict[str, NDArray[np.floating]]:
        """Higher is stranger; the columns of the batch, and what is made of both questions."""
        p = np.stack([self.batch.p_familiar, self.batch.p_owned])
        columns = dict(zip(self.batch.score_names, self.batch.scores.T, strict=True))
        return {**columns, "either": -p.min(axis=0), "both": -np.log(p).sum(axis=0)}


def open_set_figures(fitted: Fitted) -> dict[str, float]:
    """Figures on the test part: separation by every score, and what the decision does at 1 %."""
    dataset = fitted.dataset
    truth = np.array(dataset.held_labels)[dataset.test.y]
    known = np.isin(truth, dataset.labels)
    batch = predict_all(fitted.predictor, dataset.test.x)
    judged = _Judged(batch, known)
    figures = {
        f"{score}/{figure}": value
        for score, values in judged.scores().items()
        for figure, value in separation(values[known], values[~known]).figures().items()
    }
    decisions = np.array(decide(batch.p_familiar, batch.p_owned, ALPHA))
    figures["known_accuracy"] = float(np.mean(np.array(batch.predicted)[known] == truth[known]))
    figures["known_flagged"] = float(np.mean(decisions[known] != Decision.KNOWN))
    figures["unknown_flagged"] = float(np.mean(decisions[~known] != Decision.KNOWN))
    figures["unknown_as_unknown"] = float(np.mean(decisions[~known] == Decision.UNKNOWN_CLASS))
    return figures


def _line(seed: int, unknown: Sequence[str], figures: Mapping[str, float]) -> str:
    wanted = ("/unowned/auroc", "/both/auroc", "/known_accuracy", "/unknown_flagged")
    shown_figures = [name for name in figures if name.endswith(wanted)]
    values = "  ".join(f"{name} {figures[name]:.4f}" for name in shown_figures)
    return f"seed {seed}: without labels {', '.join(unknown)}  {values}"


def _result(
    origin: Provenance,
    seeds: Sequence[int],
    config: RunConfig,
    options: argparse.Namespace,
    runs: Sequence[Mapping[str, float]],
) -> Result:
    settings: dict[str, JsonValue] = {
        "run": shown(config),
        "unknown": options.unknown,
        "streams": list(options.stream),
        "labels_a_class": LABELS_A_CLASS,
    }
    return Result(origin.commit, origin.command, tuple(seeds), settings, figures_of(runs))


if __name__ == "__main__":
    sys.exit(main())
