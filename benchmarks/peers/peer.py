"""What every peer is asked: fit on a split, answer the known test inputs."""

from dataclasses import Field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from training.config import RunConfig
from training.data import Dataset, Examples


class Peer(Protocol):
    """A method with its settings; a frozen dataclass, so that the result can carry them."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def accuracy(self, dataset: Dataset, run: RunConfig) -> float:
        """Fit on the labelled and unlabelled inputs; the share of known test inputs answered right.

        Args:
            dataset: held-out inputs are not touched, test inputs only to answer them at the end.
            run: our run on the same split. Its seed is that of everything random here too: the
                same seed gives the same accuracy on one machine. Threads are the same as well.
        """
        ...


def known_test(dataset: Dataset) -> Examples:
    """The test inputs whose class carries a label; y indexes ``dataset.labels``."""
    place = {name: index for index, name in enumerate(dataset.labels)}
    labels = np.array([place.get(name, -1) for name in dataset.held_labels], dtype=np.int64)
    y = labels[dataset.test.y]
    return Examples(dataset.test.x[y >= 0], y[y >= 0])


def share_right(predicted: NDArray[np.int64], test: Examples) -> float:
    """Share of the examples, of which there is at least one, whose label is predicted."""
    return float((predicted == test.y).mean())
