"""Channels and their majority labels, on counts that can be checked by eye."""

import numpy as np
import pytest

from benchmarks.channel_labels import ChannelLabels

# Five channels, three labels: label b has most of its inputs in a channel of a's, c has two.
COUNTS = np.array([[9, 5, 0], [0, 2, 0], [0, 0, 4], [0, 0, 0], [1, 0, 3]], dtype=np.int64)
FOUND = ChannelLabels(("a", "b", "c"), COUNTS)


def test_majorities() -> None:
    assert FOUND.majority.tolist() == [0, 1, 2, -1, 2]
    assert FOUND.channels_of_label.tolist() == [1, 1, 2]


def test_figures() -> None:
    figures = FOUND.figures()
    assert figures["purity"] == pytest.approx(18 / 24)
    assert figures["channels_used"] == 4
    assert figures["channels_sharing_a_majority_label"] == 2
    assert figures["labels_sharing_a_channel"] == 1
    assert figures["labels_without_channel"] == 0
    assert figures["channels_of_c"] == 2


def test_a_label_that_never_is_a_majority_has_no_channel() -> None:
    found = ChannelLabels(("a", "b"), np.array([[5, 4], [0, 0]], dtype=np.int64))
    assert found.figures()["labels_without_channel"] == 1
    assert found.figures()["labels_sharing_a_channel"] == 1


def test_a_label_without_held_out_inputs_shares_nothing() -> None:
    found = ChannelLabels(("a", "b"), np.array([[5, 0]], dtype=np.int64))
    assert found.labels_sharing_a_channel == 0
