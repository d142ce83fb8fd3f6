"""A data source as it came."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rcmvae.errors import DataError
from training.data.examples import Examples


@dataclass(frozen=True, slots=True)
class Source:
    """A data source as it came.

    Attributes:
        labels: names of the classes.
        train: all examples that may be trained on.
        test: the source's own test set, or None.
        sha256: digest of the inputs and labels, for the lineage.
        features: names of a vector's values, where the source has them.
    """

    labels: tuple[str, ...]
    train: Examples
    test: Examples | None
    sha256: str
    features: tuple[str, ...] | None = None


def make_source(
    labels: tuple[str, ...],
    train: Examples,
    test: Examples | None = None,
    features: tuple[str, ...] | None = None,
) -> Source:
    """A source with its digest."""
    digest = hashlib.sha256()
    for part in (train, test):
        if part is not None:
            digest.update(np.ascontiguousarray(part.x).tobytes())
            digest.update(part.y.tobytes())
    return Source(labels, train, test, digest.hexdigest(), features)


def require_same_shape(path: Path, train: Examples, test: Examples) -> None:
    """Refuse test inputs of another shape than the others.

    Raises:
        DataError: names the source and both shapes.
    """
    expected, actual = train.x.shape[1:], test.x.shape[1:]
    if actual != expected:
        raise DataError(f"{path.name}: expected test inputs of shape {expected}, got {actual}")
