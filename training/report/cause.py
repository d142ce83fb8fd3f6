"""Why an answer is wrong: the map named the channel wrongly, or the channel holds another class.

Every channel gets the majority label of the test inputs that it is most responsible for. Where
that label is the true one, the input lies with its own kind and only the map's name for the
channel is wrong: a right map would have answered right. Otherwise the channel is at fault, and no
map can help.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EMPTY = -1
"""Majority label of a channel without test inputs."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Wrong answers by cause, as ascending rows of the test set, int64.

    Attributes:
        by_map: the channel's majority label is the true one.
        by_channel: it is another.
    """

    by_map: NDArray[np.int64]
    by_channel: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.by_map.size + self.by_channel.size)


def label_counts(
    channel: NDArray[np.int64], label: NDArray[np.int64], num_channels: int, num_labels: int
) -> NDArray[np.int64]:
    """How many inputs of each label a channel is most responsible for, int64 (K, C).

    Args:
        channel: most responsible channel of every input, (n,), in [0, K).
        label: true label of every input, (n,), in [0, C).
        num_channels: K.
        num_labels: C.
    """
    counts = np.zeros((num_channels, num_labels), dtype=np.int64)
    np.add.at(counts, (channel, label), 1)
    return counts


def majority_labels(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Most frequent label of every channel, (K,), EMPTY without inputs; of a tie the first label.

    Args:
        counts: inputs by channel and label, (K, C).
    """
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), EMPTY)


def find_errors(
    channel: NDArray[np.int64],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    majority: NDArray[np.int64],
    judged: NDArray[np.bool_],
) -> Errors:
    """Sort the wrong answers among ``judged`` by cause.

    Args:
        channel: most responsible channel of every input, (n,).
        truth: true label of every input, (n,).
        predicted: answered label of every input, (n,).
        majority: majority label of every channel, (K,).
        judged: inputs whose answer can be right, as their class carries a label, (n,).
    """
    wrong = judged & (predicted != truth)
    alike = majority[channel] == truth
    return Errors(np.flatnonzero(wrong & alike), np.flatnonzero(wrong & ~alike))
