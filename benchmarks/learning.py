"""How well a few labels go: ours beside LabelSpreading on the same split, over several seeds.

python -m benchmarks.learning --data digits --labels 100 --seeds 5
python -m benchmarks.learning --data digits --labels 100 --seeds 5 --unlabelled-class 9

With an unlabelled class the run also asks whether it is found, and whether ten labels teach it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.semi_supervised import LabelSpreading
from tqdm import tqdm

from benchmarks.result import Figure, add_options, figure_of, report
from rcmvae.bundle import Bundle, Lineage, load_current, publish_bundle, stage_bundle
from rcmvae.errors import NoFreeChannel
from rcmvae.predictor import Predictor
from training.assemble import assemble
from training.config import RunConfig, load_config, to_json
from training.data import NO_LABEL, SHIPPED, Dataset, label_ids, load_dataset, load_source
from training.evaluate import evaluate, predict_all
from training.fit import fit
from training.recipe import settled
from training.relabel import Correction, relabel

ALPHA = 0.01
NEW_EXAMPLES = 10
DRAWS = 10
NEIGHBOURS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(arguments)
    config = _config(options)
    seeds = range(2 if options.quick else options.seeds)
    runs = [_measure(config, seed) for seed in tqdm(seeds, desc="seeds", unit="seed")]
    figures: dict[str, Figure] = {name: figure_of([run[name] for run in runs]) for name in runs[0]}
    report(figures, {"seeds": len(runs), "run": to_json(config)}, options.json)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument(
        "--data",
        default="digits",
        help="digits, wine, breast_cancer or iris, or a set in RCMVAE_DATA_DIR",
    )
    parser.add_argument("--labels", type=int, default=100, help="labelled examples in all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--unlabelled-class", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    add_options(parser)
    return parser.parse_args(arguments)


def _config(options: argparse.Namespace) -> RunConfig:
    source = options.data
    if source not in SHIPPED:
        folder = os.environ.get("RCMVAE_DATA_DIR")
        if folder is None:
            raise SystemExit("RCMVAE_DATA_DIR: expected the folder that holds mnist/, got nothing")
        source = str(Path(folder) / source)
    classes = ", ".join(f'"{name}"' for name in options.unlabelled_class)
    given = (
        f'data.source="{source}"',
        f"data.labels={options.labels}",
        f"data.unlabelled_classes=[{classes}]",
    )
    return load_config(None, [*given, *options.set])


def _measure(config: RunConfig, seed: int) -> Mapping[str, float]:
    given = replace(config, seed=seed)
    dataset = load_dataset(given.data, given.seed)
    run = settled(given, dataset)
    started = time.perf_counter()
    state = fit(dataset, run, quiet=True)
    seconds = time.perf_counter() - started
    draft = assemble(state.network, dataset, run, Lineage(method="fit"), label_ids(dataset))
    with tempfile.TemporaryDirectory() as folder:
        publish_bundle(Path(folder), draft, expected_parent=None)
        bundle = load_current(Path(folder))
        figures = evaluate(Predictor.open(bundle), dataset, ALPHA).figures()
        figures["fit_seconds"] = seconds
        figures["effective_channels"] = state.history[-1].effective_channels
        figures["label_spreading_accuracy"] = _label_spreading(dataset)
        if run.data.unlabelled_classes:
            figures.update(_teach(bundle, dataset, run, Path(folder)))
    return figures


def _label_spreading(dataset: Dataset) -> float:
    """Accuracy of scikit-learn's LabelSpreading on the known test inputs, from the same labels.

    The seven-neighbour graph is the library's default for this kernel.
    """
    seen = np.concatenate([dataset.unlabelled, dataset.labelled.x])
    x = dataset.scaled(seen).reshape(-1, _size(dataset))
    unknown = np.full(len(dataset.unlabelled), NO_LABEL)
    model = LabelSpreading(kernel="knn", n_neighbors=NEIGHBOURS)
    model.fit(x, np.concatenate([unknown, dataset.labelled.y]))
    truth = np.array(dataset.held_labels)[dataset.test.y]
    known = np.isin(truth, dataset.labels)
    predicted = np.array(dataset.labels)[
        model.predict(dataset.scaled(dataset.test.x).reshape(len(truth), -1))
    ]
    return float((predicted == truth)[known].mean())


def _size(dataset: Dataset) -> int:
    return int(np.prod(dataset.shape))


def _teach(bundle: Bundle, dataset: Dataset, run: RunConfig, models: Path) -> dict[str, float]:
    """Add the first unlabelled class from ten examples by counts alone, over several draws."""
    (name, *_) = run.data.unlabelled_classes
    source = load_source(run.data.source)
    stream = np.array(source.labels)[source.train.y[dataset.split.unlabelled]]
    candidates = np.flatnonzero(stream == name)
    truth = np.array(dataset.held_labels)[dataset.test.y]
    before = _right(bundle, dataset, truth)
    known = np.isin(truth, dataset.labels)
    new, old = [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng([run.seed, draw])
        x = dataset.unlabelled[rng.choice(candidates, NEW_EXAMPLES, replace=False)]
        after = _right(_relabelled(bundle, name, x, models), dataset, truth)
        new.append(float(after[truth == name].mean()))
        old.append(float(after[known].mean() - before[known].mean()))
    return {
        "new_label_accuracy": float(np.mean(new)),
        "new_label_accuracy_worst_draw": float(np.min(new)),
        "old_labels_change": float(np.mean(old)),
    }


def _relabelled(bundle: Bundle, name: str, x: NDArray[np.float32], models: Path) -> Bundle:
    """The bundle after the corrections; the same one where no channel is free for the label."""
    corrections = [Correction(f"new-{i}", name, row) for i, row in enumerate(x)]
    try:
        return stage_bundle(models, relabel(bundle, corrections))
    except NoFreeChannel:
        return bundle


def _right(bundle: Bundle, dataset: Dataset, truth: NDArray[np.str_]) -> NDArray[np.bool_]:
    predicted = predict_all(Predictor.open(bundle), dataset.test.x).predicted
    return np.asarray(np.array(predicted) == truth)


if __name__ == "__main__":
    sys.exit(main())
