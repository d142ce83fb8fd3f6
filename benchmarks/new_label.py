"""New labels by a few examples each, by counts alone: one at a time, and one after another.

python -m benchmarks.new_label --models models --json result.json

Takes a bundle whose configuration leaves classes without labels, such as one of a run that
`benchmarks.learning --keep` kept. Examples are drawn from the unlabelled inputs; accuracy is that
on the test set.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import (
    Result,
    add_options,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from rcmvae.bundle import Bundle, as_bundle, load_current
from rcmvae.predictor import Predictor
from training.config import from_json
from training.data import Dataset, load_dataset, load_source
from training.evaluate import predict_all
from training.relabel import Correction, relabel

EXAMPLES = (5, 10)
DRAWS = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """A bundle, its data, and the true classes of its unlabelled inputs, (n,)."""

    bundle: Bundle
    dataset: Dataset
    stream: NDArray[np.str_]
    new: tuple[str, ...]

    @classmethod
    def of(cls, models: Path) -> "Subject":
        """The current bundle of a folder."""
        bundle = load_current(models)
        config = from_json(bundle.manifest.configuration)
        dataset, source = load_dataset(config.data, config.seed), load_source(config.data.source)
        stream = np.array(source.labels)[source.train.y[dataset.split.unlabelled]]
        return cls(bundle, dataset, stream, tuple(config.data.unlabelled_classes))

    def examples(self, name: str, count: int, draw: int) -> list[Correction]:
        """Unlabelled inputs of a class, with its name."""
        rng = np.random.default_rng([draw, self.new.index(name)])
        chosen = rng.choice(np.flatnonzero(self.stream == name), count, replace=False)
        rows = self.dataset.unlabelled[chosen]
        return [Correction(f"{name}-{i}", name, x) for i, x in enumerate(rows)]

    def right(self, bundle: Bundle, names: Sequence[str]) -> NDArray[np.bool_]:
        """Whether the test inputs of these classes are answered rightly."""
        truth = np.array(self.dataset.held_labels)[self.dataset.test.y]
        chosen = np.isin(truth, names)
        predicted = predict_all(Predictor.open(bundle), self.dataset.test.x[chosen]).predicted
        return np.asarray(np.array(predicted) == truth[chosen])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_label", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--draws", type=int, default=DRAWS)
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("new_label", given)
    subject = Subject.of(options.models)
    if not subject.new:
        parser.error("--models: expected a bundle with classes without labels, got one with none")
    draws = range(2 if options.quick else options.draws)
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(draws),
        config={"new": list(subject.new), "bundle": subject.bundle.version},
        figures=figures_of([measure(subject, draw) for draw in draws]),
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def measure(subject: Subject, draw: int) -> dict[str, float | None]:
    """All figures of one draw."""
    figures: dict[str, float | None] = {}
    old = subject.dataset.labels
    before = subject.right(subject.bundle, old).mean()
    for count in EXAMPLES:
        alone = [_alone(subject, name, count, draw) for name in subject.new]
        for name, bundle in zip(subject.new, alone, strict=True):
            figures[f"{count} examples: {name!r}"] = float(subject.right(bundle, [name]).mean())
        news = [figures[f"{count} examples: {name!r}"] or 0.0 for name in subject.new]
        figures[f"{count} examples: new label"] = float(np.mean(news))
        changes = [subject.right(bundle, old).mean() - before for bundle in alone]
        figures[f"{count} examples: old labels, change"] = float(np.mean(changes))
    if len(subject.new) > 1:
        figures |= _together(subject, draw)
    return figures


def _alone(subject: Subject, name: str, count: int, draw: int) -> Bundle:
    return as_bundle(relabel(subject.bundle, subject.examples(name, count, draw)))


def _together(subject: Subject, draw: int) -> dict[str, float | None]:
    """All new labels by the most examples: one relabel each, and all in one."""
    count, everything = EXAMPLES[-1], (*subject.dataset.labels, *subject.new)
    bundle = subject.bundle
    for name in subject.new:
        bundle = as_bundle(relabel(bundle, subject.examples(name, count, draw)))
    items = [c for name in subject.new for c in subject.examples(name, count, draw)]
    at_once = as_bundle(relabel(subject.bundle, items))
    return {
        "one after another: all labels": float(subject.right(bundle, everything).mean()),
        "one after another: new labels": float(subject.right(bundle, subject.new).mean()),
        "all at once: all labels": float(subject.right(at_once, everything).mean()),
    }


if __name__ == "__main__":
    sys.exit(main())
