"""A source after its split, as the rest of training uses it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.label_map import LABEL_ID
from rcmvae.scaling import Scaling
from training.config import DataConfig
from training.data.examples import NO_LABEL, Examples
from training.data.load import load_source
from training.data.scaling import fit_scaling, raw_range
from training.data.split import Split, labelled_classes, split_source


@dataclass(frozen=True, slots=True)
class Dataset:
    """A source after its split, as the rest of training uses it.

    Attributes:
        labels: names of the classes that carry labels, in the source's order.
        held_labels: names of all classes of the source.
        split: the indices behind the parts.
        unlabelled: inputs of the fit, (n, *shape) float32.
        labelled: labelled examples; y indexes ``labels``.
        density: held-out inputs for the fused density; y is NO_LABEL for unlabelled classes.
        calibration: held-out examples that calibrate; y likewise.
        test: test examples; y indexes ``held_labels``.
        sha256: digest of the source.
        features: names of a vector's values, where the source has them.
        scaling: of vectors, from ``unlabelled`` alone; None for images, which lie in [0, 1].
    """

    labels: tuple[str, ...]
    held_labels: tuple[str, ...]
    split: Split
    unlabelled: NDArray[np.float32]
    labelled: Examples
    density: Examples
    calibration: Examples
    test: Examples
    sha256: str
    features: tuple[str, ...] | None = None
    scaling: Scaling | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.unlabelled.shape[1:])

    @property
    def value_range(self) -> tuple[float, float]:
        """Closed range of the values that a client may send."""
        return (0.0, 1.0) if self.scaling is None else raw_range(self.unlabelled)

    def scaled(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inputs as the network works in them, mostly within [0, 1]; images as they are."""
        return x if self.scaling is None else self.scaling.scaled(x)

    def raw(self, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of ``scaled``, within what that does not cut."""
        return units if self.scaling is None else self.scaling.raw(units)


def label_ids(dataset: Dataset) -> tuple[str, ...]:
    """Ids of the labelled examples of the split, for the evidence: `train-<index>`."""
    return tuple(f"{LABEL_ID}{index}" for index in dataset.split.labelled)


def load_dataset(config: DataConfig, seed: int) -> Dataset:
    """Load the source and split it.

    Raises:
        DataError: see ``load_source`` and ``split_source``.
    """
    source = load_source(config.source)
    split = split_source(source, config, seed)
    kept = labelled_classes(source, config)
    # Classes without labels become NO_LABEL everywhere but in the test set.
    known = np.array([kept.index(n) if n in kept else NO_LABEL for n in source.labels])
    hidden = Examples(source.train.x, known[source.train.y])
    unlabelled = source.train.x[split.unlabelled]
    return Dataset(
        labels=kept,
        held_labels=source.labels,
        split=split,
        unlabelled=unlabelled,
        labelled=hidden.take(split.labelled),
        density=hidden.take(split.density),
        calibration=hidden.take(split.calibration),
        test=source.test if source.test is not None else source.train.take(split.test),
        sha256=source.sha256,
        features=source.features,
        scaling=fit_scaling(unlabelled) if unlabelled.ndim == 2 else None,
    )
