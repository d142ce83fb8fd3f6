"""A refit makes room: more channels, those that were there unchanged, one where the label lies."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import CALIBRATION, WEIGHTS
from rcmvae.calibration import parse_calibration
from rcmvae.errors import BundleDamaged
from tests.training.tiny import corrections, unseen
from training.refit import prepare
from training.widen import CHANNELS_PER_LABEL, widened


@pytest.fixture
def full(bundle: Bundle) -> Bundle:
    """A bundle in which no channel is free."""
    calibration = parse_calibration(bundle.read(CALIBRATION))
    none_free = calibration.model_copy(update={"free_mass": 1e-12})
    contents = {**bundle.contents, CALIBRATION: none_free.model_dump_json().encode()}
    return replace(bundle, contents=contents)


def test_a_new_label_without_a_free_channel_gets_one(full: Bundle) -> None:
    start = prepare(full, corrections(9, 5))
    network, had = start.state.network, full.manifest.num_channels
    assert network.num_channels == had + CHANNELS_PER_LABEL == start.config.model.num_channels
    assert start.original.model.num_channels != network.num_channels
    for name, old in full.arrays(WEIGHTS).items():
        new = network.state_dict()[name].numpy()
        np.testing.assert_array_equal(new[: len(old)] if old.ndim else new, old)
    with torch.no_grad():
        nines = network.eval().look(torch.from_numpy(unseen(9, 40)[5:]))[1].argmax(dim=1)
        others = network.look(torch.from_numpy(unseen(0, 30)))[1].argmax(dim=1)
    assert (nines == had).float().mean() > 0.1, "training goes on from here"
    assert (others == had).float().mean() < 0.02


def test_where_a_channel_is_free_none_is_added(bundle: Bundle) -> None:
    network = prepare(bundle, corrections(9, 5)).state.network
    assert network.num_channels == bundle.manifest.num_channels


def test_weights_of_another_network_are_refused() -> None:
    old = {"a": torch.zeros(2, 3)}
    with pytest.raises(BundleDamaged, match="do not fit: a"):
        widened(old, {"b": torch.zeros(2, 3)})
    for shape in ((4, 4), (1, 3)):
        with pytest.raises(BundleDamaged, match="do not fit: a"):
            widened(old, {"a": torch.zeros(shape)})
