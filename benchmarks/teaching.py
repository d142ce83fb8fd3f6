"""A class that nobody labelled is taught from ten labels by counts alone."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, stage_bundle
from rcmvae.errors import NoFreeChannel
from rcmvae.predictor import Predictor
from training.config import RunConfig
from training.data import Dataset, load_source
from training.evaluate import predict_all
from training.relabel import Correction, relabel

NEW_EXAMPLES = 10
DRAWS = 10


def teach(bundle: Bundle, dataset: Dataset, run: RunConfig, models: Path) -> dict[str, float]:
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
