"""Which labels the channels stand for, seen on held-out inputs: does every class have its own?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import ENCODER
from training.data import NO_LABEL, Dataset
from training.encode import encode, session_of


@dataclass(frozen=True, slots=True)
class ChannelLabels:
    """Held-out inputs counted by their most responsible channel and their label.

    Attributes:
        labels: names of the C labels.
        counts: (K, C) int64, at least one input in all.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def majority(self) -> NDArray[np.int64]:
        """The most frequent label of every channel, (K,); NO_LABEL for a channel without input."""
        found = np.where(self.counts.any(axis=1), self.counts.argmax(axis=1), NO_LABEL)
        return np.asarray(found, dtype=np.int64)

    @property
    def channels_of_label(self) -> NDArray[np.int64]:
        """How many channels have each label as their majority, (C,)."""
        used = self.majority[self.majority != NO_LABEL]
        return np.bincount(used, minlength=len(self.labels)).astype(np.int64)

    @property
    def purity(self) -> float:
        """Share of the inputs that carry the majority label of their channel."""
        return float(self.counts.max(axis=1).sum() / self.counts.sum())

    @property
    def labels_sharing_a_channel(self) -> int:
        """Labels whose main channel has another label as its majority: classes that were merged."""
        main = self.majority[self.counts.argmax(axis=0)]
        present = self.counts.any(axis=0)
        return int((present & (main != np.arange(len(self.labels)))).sum())

    def figures(self) -> dict[str, float]:
        """All of it by name."""
        own = self.channels_of_label
        shared = own[own > 1].sum()
        return {
            "channels_used": float((self.majority != NO_LABEL).sum()),
            "purity": self.purity,
            "channels_sharing_a_majority_label": float(shared),
            "labels_sharing_a_channel": float(self.labels_sharing_a_channel),
            "labels_without_channel": float((own == 0).sum()),
            **{f"channels_of_{name}": float(n) for name, n in zip(self.labels, own, strict=True)},
        }


def channel_labels(bundle: Bundle, dataset: Dataset) -> ChannelLabels:
    """Count the held-out inputs of labelled classes; test inputs have no part in it."""
    held_out = (dataset.density, dataset.calibration)
    x = np.concatenate([part.x for part in held_out])
    y = np.concatenate([part.y for part in held_out])
    found = encode(session_of(bundle.read(ENCODER)), x[y != NO_LABEL])
    counts = np.zeros((found.logits.shape[1], len(dataset.labels)), dtype=np.int64)
    np.add.at(counts, (found.channel, y[y != NO_LABEL]), 1)
    return ChannelLabels(dataset.labels, counts)
