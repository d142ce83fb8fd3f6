"""scikit-learn's LabelSpreading over a graph of nearest neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.semi_supervised import LabelSpreading

from benchmarks.peers.peer import known_test, share_right
from training.config import RunConfig
from training.data import NO_LABEL, Dataset

UNLABELLED = 20_000


@dataclass(frozen=True, slots=True)
class LabelSpreadingPeer:
    """LabelSpreading as the library has it (Zhou et al. 2004).

    Attributes:
        unlabelled: at most so many unlabelled inputs, drawn by the seed: the graph takes memory
            and time that grow faster than their number.
        neighbours: of a point in the graph; seven is the library's default.
    """

    unlabelled: int = UNLABELLED
    neighbours: int = 7

    def accuracy(self, dataset: Dataset, run: RunConfig) -> float:
        """See ``Peer``."""
        x, y = self._points(dataset, run.seed)
        model = LabelSpreading(kernel="knn", n_neighbors=self.neighbours)
        # An input without a path to any label has no mass: the library divides nought by nought
        # and answers the first label, which counts as it comes.
        with np.errstate(invalid="ignore"):
            model.fit(x, y)
            test = known_test(dataset)
            predicted = model.predict(test.x.reshape(len(test), -1))
        return share_right(predicted, test)

    def _points(self, dataset: Dataset, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inputs (n, size) and their labels (n,), NO_LABEL for all but the labelled ones."""
        is_labelled = np.isin(dataset.split.unlabelled, dataset.split.labelled)
        others = np.random.default_rng(seed).permutation(np.flatnonzero(~is_labelled))
        rest = dataset.unlabelled[np.sort(others[: self.unlabelled])]
        x = np.concatenate([dataset.labelled.x, rest]).reshape(
            len(dataset.labelled) + len(rest), -1
        )
        nothing = np.full(len(rest), NO_LABEL, dtype=np.int64)
        return x, np.concatenate([dataset.labelled.y, nothing])
