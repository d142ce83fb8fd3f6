"""Labels that spread to channels without evidence, against the walk itself."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats
from scipy.special import softmax

from rcmvae.label_map import LabelMap, free_channels, leave_one_out
from rcmvae.spreading import HALF, VOTES, spread_labels
from rcmvae.walk import SURVIVAL
from tests.rcmvae.random_maps import label_maps, random_map

SEEDS = st.integers(0, 2**32 - 1)


def random_resemblance(seed: int, channels: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).gamma(0.3, size=(channels, channels)) + 1e-6


@settings(max_examples=40)
@given(label_maps(), SEEDS)
def test_the_closed_form_is_the_sum_over_all_walks(label_map: LabelMap, seed: int) -> None:
    counts, channels = label_map.counts, label_map.num_channels
    resemblance = random_resemblance(seed, channels)
    away = resemblance * (1.0 - np.eye(channels))
    total = away.sum(axis=1, keepdims=True)
    step = np.divide(away, total, out=np.zeros_like(away), where=total > 0)
    evidence = counts.sum(axis=1)
    stop = evidence / (evidence + HALF)
    share = np.divide(counts, evidence[:, None], out=np.zeros_like(counts), where=counts > 0)
    alive, expected = SURVIVAL * step, np.zeros_like(counts)
    for _ in range(400):
        expected += (alive * stop) @ share
        alive = SURVIVAL * (alive * (1.0 - stop)) @ step
    expected += (1.0 - expected.sum(axis=1, keepdims=True)) / counts.shape[1]
    expected = softmax(VOTES * np.log(expected), axis=1)
    spread = spread_labels(resemblance, counts)
    assert_allclose(spread, expected, atol=1e-9)
    assert_allclose(spread.sum(axis=1), 1.0)
    assert (spread > 0.0).all()


@given(label_maps(), SEEDS)
def test_the_floor_keeps_its_mass_and_evidence_its_weight(label_map: LabelMap, seed: int) -> None:
    spread = replace(label_map, resemblance=random_resemblance(seed, label_map.num_channels))
    labels = len(label_map.labels)
    assert_allclose(spread.floor.sum(axis=1), labels * label_map.alpha0)
    assert_allclose(spread.evidence, label_map.evidence)
    assert (free_channels(spread, 0.5) == free_channels(label_map, 0.5)).all()
    if labels > 1:
        means = [
            stats.dirichlet(s + floor).mean()
            for s, floor in zip(spread.counts, spread.floor, strict=True)
        ]
        assert_allclose(spread.tau, means, rtol=1e-9, atol=1e-12)


def two_styles() -> LabelMap:
    """Channel 0 holds label a, 1 label b, 2 nothing; what leaves 2 goes mostly to 1."""
    return LabelMap(
        labels=("a", "b"),
        contributions=np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]),
        contribution_labels=np.array([0, 1]),
        ids=("1", "2"),
        alpha0=0.02,
        resemblance=np.array([[5.0, 0.1, 0.0], [0.1, 5.0, 0.3], [0.1, 0.9, 3.0]]),
    )


def test_a_channel_without_evidence_takes_the_label_of_its_neighbours() -> None:
    label_map = two_styles()
    assert label_map.tau[2, 1] > 0.7
    assert replace(label_map, resemblance=None).tau[2].tolist() == [0.5, 0.5]
    assert free_channels(label_map, 0.5)[2]


def test_one_example_outweighs_what_neighbours_say() -> None:
    label_map = two_styles().add(np.array([[0.0, 0.0, 1.0]]), ["a"], ["3"])
    assert label_map.tau[2, 0] > 0.9


def test_a_channel_that_nothing_leaves_says_nothing() -> None:
    label_map = replace(two_styles(), resemblance=np.eye(3))
    assert_allclose(label_map.floor, 0.02)


def test_without_labels_every_floor_is_even() -> None:
    empty = random_map(0, examples=0)
    assert_allclose(replace(empty, resemblance=random_resemblance(0, 4)).floor, empty.alpha0)


@given(SEEDS, SEEDS)
def test_leaving_one_out_is_the_map_without_it(seed: int, walk: int) -> None:
    label_map = replace(random_map(seed), resemblance=random_resemblance(walk, 4))
    r = np.random.default_rng(seed).dirichlet(np.ones(4), 6)
    left_out = leave_one_out(label_map, r)
    for i, name in enumerate(label_map.ids):
        assert_allclose(left_out[i], r[i] @ label_map.withdraw([name]).tau, atol=1e-9)


@given(SEEDS)
def test_the_order_of_channels_has_no_say(seed: int) -> None:
    rng, resemblance = np.random.default_rng(seed), random_resemblance(seed, 4)
    counts, order = random_map(seed).counts, rng.permutation(4)
    shuffled = spread_labels(resemblance[np.ix_(order, order)], counts[order])
    assert_allclose(shuffled, spread_labels(resemblance, counts)[order], atol=1e-9)


def test_a_new_label_spreads_too() -> None:
    label_map = two_styles().with_label("c").add(np.array([[0.0, 0.0, 3.0]]), ["c"], ["3"])
    assert label_map.tau.shape == (3, 3)
    assert label_map.floor[1, 2] == pytest.approx(label_map.floor[1].max())
