"""The split of the entropy against scipy's divergences and against sampled maps."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import stats
from scipy.special import rel_entr

from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.uncertainty import Uncertainty, decompose, entropy
from tests.rcmvae.random_maps import label_maps, random_map

SEEDS = st.integers(0, 2**32 - 1)
SHARPNESS = st.sampled_from([0.01, 1.0, 30.0])


def _responsibilities(seed: int, channels: int, sharpness: float) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.full(channels, sharpness), 5)


def _split(label_map: LabelMap, r: NDArray[np.float64]) -> Uncertainty:
    return decompose(r, label_map.tau, expected_entropy(label_map.counts, label_map.alpha0))


@given(label_maps(), SEEDS, SHARPNESS)
def test_the_parts_sum_to_the_total_and_none_is_negative(
    label_map: LabelMap, seed: int, sharpness: float
) -> None:
    r = _responsibilities(seed, label_map.num_channels, sharpness)
    split = _split(label_map, r)
    parts = (split.aleatoric, split.channel_ambiguity, split.label_map_ignorance)
    assert_allclose(sum(parts), split.total, atol=1e-9)
    assert min(part.min() for part in parts) > -1e-12
    assert split.total.max() <= np.log(len(label_map.labels)) + 1e-12
    assert_array_equal(split.epistemic, split.channel_ambiguity + split.label_map_ignorance)


@given(label_maps(), SEEDS, SHARPNESS)
def test_channel_ambiguity_is_the_information_about_the_channel(
    label_map: LabelMap, seed: int, sharpness: float
) -> None:
    """I(y; c) = sum_k r_k KL(tau_k || sum_j r_j tau_j)."""
    r = _responsibilities(seed, label_map.num_channels, sharpness)
    divergence = rel_entr(label_map.tau[None], (r @ label_map.tau)[:, None]).sum(axis=2)
    information = (r * divergence).sum(axis=1)
    assert_allclose(_split(label_map, r).channel_ambiguity, information, atol=1e-9)


def test_the_split_agrees_with_sampled_maps() -> None:
    """Aleatoric and ignorance as means over maps drawn from the posterior."""
    label_map = random_map(3, channels=3, labels=3, examples=5)
    r = np.array([[0.7, 0.2, 0.1]])
    rng = np.random.default_rng(0)
    a = label_map.counts + label_map.alpha0
    drawn = np.stack([stats.dirichlet(row).rvs(20_000, random_state=rng) for row in a], axis=1)
    noise = (stats.entropy(drawn, axis=2) @ r.T)[:, 0]
    doubt = (rel_entr(drawn, label_map.tau).sum(axis=2) @ r.T)[:, 0]
    split = _split(label_map, r)
    for part, sample in ((split.aleatoric, noise), (split.label_map_ignorance, doubt)):
        assert abs(part[0] - sample.mean()) < 4.0 * sample.std() / np.sqrt(sample.size)


def test_total_and_epistemic_agree_with_sampled_labels() -> None:
    """The whole story drawn: c ~ r, tau_c from its posterior, y ~ tau_c, and entropies counted."""
    label_map, draws = random_map(5, channels=3, labels=3, examples=7), 200_000
    r, rng = np.array([[0.5, 0.3, 0.2]]), np.random.default_rng(1)
    channel = rng.choice(3, draws, p=r[0])
    a = label_map.counts + label_map.alpha0
    weights = rng.standard_gamma(a[channel])
    tau = weights / weights.sum(axis=1, keepdims=True)
    label = (rng.random((draws, 1)) > tau.cumsum(axis=1)).sum(axis=1).clip(max=2)
    split = _split(label_map, r)
    # Given channel and map the label is of tau: what is left of its entropy is aleatoric.
    left = stats.entropy(tau, axis=1)
    error = 4.0 * left.std() / np.sqrt(draws)
    assert_allclose(split.aleatoric[0], left.mean(), atol=error)
    counted = stats.entropy(np.bincount(label, minlength=3))
    assert_allclose(split.total[0], counted, atol=0.01)
    assert_allclose(split.epistemic[0], counted - left.mean(), atol=0.01 + error)


@given(label_maps(), SEEDS, st.permutations(range(5)))
def test_an_input_does_not_depend_on_the_others(
    label_map: LabelMap, seed: int, order: list[int]
) -> None:
    r = _responsibilities(seed, label_map.num_channels, 0.3)
    among, moved = _split(label_map, r), _split(label_map, r[order])
    alone = _split(label_map, r[:1])
    for field in fields(Uncertainty):
        assert_allclose(getattr(moved, field.name), getattr(among, field.name)[order], atol=1e-12)
        assert_allclose(getattr(alone, field.name), getattr(among, field.name)[:1], atol=1e-12)


@given(label_maps(), SEEDS, st.integers(0, 4))
def test_ignorance_falls_in_expectation_with_one_more_label(
    label_map: LabelMap, seed: int, k: int
) -> None:
    """Over the label that the map itself expects there, in a channel that is sure to hold it."""
    k %= label_map.num_channels
    r = np.eye(label_map.num_channels)[[k]]
    after = [
        _split(label_map.add(r, [name], ["one-more"]), r).label_map_ignorance[0]
        for name in label_map.labels
    ]
    assert after @ label_map.tau[k] <= _split(label_map, r).label_map_ignorance[0] + 1e-9


@given(label_maps(), SEEDS)
def test_order_of_channels_and_labels_does_not_matter(label_map: LabelMap, seed: int) -> None:
    rng = np.random.default_rng(seed)
    channel = rng.permutation(label_map.num_channels)
    label = rng.permutation(len(label_map.labels))
    r = _responsibilities(seed, label_map.num_channels, 1.0)
    counts = label_map.counts[channel][:, label]
    permuted = decompose(
        r[:, channel],
        label_map.tau[channel][:, label],
        expected_entropy(counts, label_map.alpha0),
    )
    split = _split(label_map, r)
    for name in ("total", "aleatoric", "channel_ambiguity", "label_map_ignorance"):
        assert_allclose(getattr(permuted, name), getattr(split, name), atol=1e-9)


def test_ignorance_falls_as_a_channel_is_labelled() -> None:
    label_map, r = random_map(0, examples=0), np.eye(4)[:1]
    ignorance = []
    for i in range(6):
        ignorance.append(_split(label_map, r).label_map_ignorance[0])
        label_map = label_map.add(np.eye(4)[:1], ["label-1"], [f"feedback-{i}"])
    assert np.all(np.diff(ignorance) < 0)


def test_labels_elsewhere_do_not_help() -> None:
    label_map, r = random_map(0), np.eye(4)[:1]
    labelled = label_map.add(np.eye(4)[[2]], ["label-1"], ["feedback"])
    assert _split(labelled, r).label_map_ignorance == _split(label_map, r).label_map_ignorance


def test_one_known_channel_is_not_ambiguous() -> None:
    split = _split(random_map(0), np.eye(4))
    assert_allclose(split.channel_ambiguity, 0.0, atol=1e-12)


def test_channels_that_say_the_same_are_not_ambiguous() -> None:
    tau = np.array([[0.6, 0.4], [0.6, 0.4]])
    split = decompose(np.array([[0.5, 0.5]]), tau, np.zeros(2))
    assert_allclose(split.channel_ambiguity, 0.0, atol=1e-12)


@given(arrays(np.float64, (3, 4), elements=st.floats(0.0, 1.0)))
def test_entropy_agrees_with_scipy(weights: NDArray[np.float64]) -> None:
    p = weights + np.array([0.0, 0.0, 1e-300, 1e-3])
    p /= p.sum(axis=1, keepdims=True)
    assert_allclose(entropy(p), stats.entropy(p, axis=1), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_of_certainty_is_zero(dtype: type[np.floating]) -> None:
    assert_array_equal(entropy(np.eye(3, dtype=dtype)), 0.0)
