"""The label map against scipy's Dirichlet, and against taking examples out for real."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.integrate import quad
from scipy.special import beta, entr

from rcmvae.errors import NoFreeChannel, UnknownLabel
from rcmvae.label_map import (
    LabelMap,
    claim_channels,
    expected_entropy,
    free_channels,
    leave_one_out,
    posterior_mean,
)
from tests.rcmvae.random_maps import label_maps, random_map

SEEDS = st.integers(0, 2**32 - 1)
EMPTY = random_map(0, examples=0)


@given(label_maps())
def test_counts_are_what_the_examples_add(label_map: LabelMap) -> None:
    expected = np.zeros((label_map.num_channels, len(label_map.labels)))
    pairs = zip(label_map.contributions, label_map.contribution_labels, strict=True)
    for contribution, column in pairs:
        expected[:, column] += contribution
    assert_allclose(label_map.counts, expected, atol=1e-12)
    assert_allclose(label_map.evidence, expected.sum(axis=1), atol=1e-12)


@given(label_maps())
def test_tau_is_the_posterior_mean(label_map: LabelMap) -> None:
    if len(label_map.labels) == 1:
        assert_array_equal(label_map.tau, 1.0)
        return
    means = [stats.dirichlet(s + label_map.alpha0).mean() for s in label_map.counts]
    assert_allclose(label_map.tau, means, rtol=1e-12)


@pytest.mark.parametrize("a", [(0.05, 0.05, 0.05), (1.05, 0.05, 2.05), (40.0, 3.0, 0.7)])
def test_expected_entropy_agrees_with_sampled_rows(a: tuple[float, ...]) -> None:
    sampled = entr(stats.dirichlet(a).rvs(20_000, random_state=0)).sum(axis=1)
    standard_error = sampled.std() / np.sqrt(sampled.size)
    (value,) = expected_entropy(np.array([a]) - 0.01, 0.01)
    assert abs(value - sampled.mean()) < 4.0 * standard_error


@pytest.mark.parametrize(("a", "b"), [(0.01, 0.01), (0.05, 1.05), (2.0, 3.0), (0.5, 200.0)])
def test_expected_entropy_agrees_with_the_integral(a: float, b: float) -> None:
    def binary_entropy(p: float) -> float:
        return float(entr(p) + entr(1.0 - p))

    weight = (a - 1.0, b - 1.0)
    integral, _ = quad(
        binary_entropy, 0.0, 1.0, weight="alg", wvar=weight, epsabs=0.0, epsrel=1e-10
    )
    (value,) = expected_entropy(np.array([[a, b]]) - 0.005, 0.005)
    assert_allclose(value, integral / beta(a, b), atol=1e-9)


@given(label_maps())
def test_expected_entropy_lies_between_zero_and_the_entropy_of_the_mean(
    label_map: LabelMap,
) -> None:
    value = expected_entropy(label_map.counts, label_map.alpha0)
    assert value.min() > -1e-12
    assert np.all(value <= entr(label_map.tau).sum(axis=1) + 1e-12)


def test_expected_entropy_without_doubt_and_without_evidence() -> None:
    plenty = np.array([[3e7, 1e7]])
    assert_allclose(expected_entropy(plenty, 0.05), stats.entropy([0.75, 0.25]), atol=1e-6)
    # Nearly no evidence under a tiny floor: each row is one label, which one nobody knows.
    assert_allclose(expected_entropy(np.zeros((1, 10)), 1e-6), 0.0, atol=1e-4)


@given(label_maps(), SEEDS)
def test_order_of_channels_and_labels_does_not_matter(label_map: LabelMap, seed: int) -> None:
    rng = np.random.default_rng(seed)
    channel = rng.permutation(label_map.num_channels)
    label = rng.permutation(len(label_map.labels))
    permuted = replace(
        label_map,
        labels=tuple(label_map.labels[y] for y in label),
        contributions=label_map.contributions[:, channel],
        contribution_labels=np.argsort(label)[label_map.contribution_labels],
    )
    assert_allclose(permuted.tau, label_map.tau[channel][:, label], rtol=1e-12)


@given(label_maps(), label_maps(least_examples=1))
def test_withdrawing_inverts_adding(label_map: LabelMap, other: LabelMap) -> None:
    names = [label_map.labels[y % len(label_map.labels)] for y in other.contribution_labels]
    ids = [f"feedback-{i}" for i in range(len(names))]
    rows = np.resize(other.contributions, (len(names), label_map.num_channels))
    added = label_map.add(rows, names, ids)
    assert_allclose(added.evidence - label_map.evidence, rows.sum(axis=0), atol=1e-9)
    back = added.withdraw(ids)
    assert back.ids == label_map.ids
    assert_array_equal(back.counts, label_map.counts)


def test_adding_twice_is_adding_once() -> None:
    rows = np.eye(4)[[1, 2]]
    once = EMPTY.add(rows, ["label-0", "label-2"], ["a", "b"])
    twice = once.add(rows[::-1], ["label-0", "label-1"], ["b", "c"])
    assert twice.ids == ("a", "b", "c")
    assert_array_equal(twice.contribution_labels, [0, 2, 1])
    assert_array_equal(twice.contributions, np.eye(4)[[1, 2, 1]])
    assert once.add(rows, ["label-0", "label-2"], ["a", "b"]).ids == ("a", "b")


def test_an_id_twice_in_one_call_counts_once() -> None:
    added = EMPTY.add(np.eye(4)[[1, 2]], ["label-0", "label-2"], ["a", "a"])
    assert added.ids == ("a",)
    assert_array_equal(added.counts, np.eye(4)[:, [1]] * [[1.0, 0.0, 0.0]])


def test_withdrawing_what_is_not_there_changes_nothing() -> None:
    label_map = random_map(1)
    assert_array_equal(label_map.withdraw(["nobody"]).counts, label_map.counts)
    assert label_map.withdraw(label_map.ids).contributions.shape == (0, 4)


def test_a_label_that_is_not_there() -> None:
    label_map = random_map(1)
    with pytest.raises(UnknownLabel, match="'label-9'"):
        label_map.index("label-9")
    with pytest.raises(UnknownLabel, match="'label-9'"):
        label_map.add(np.eye(4)[:1], ["label-9"], ["a"])


def test_a_new_label_comes_without_evidence() -> None:
    label_map = random_map(1)
    grown = label_map.with_label("new")
    assert grown.index("new") == 3
    assert_array_equal(grown.counts[:, 3], 0.0)
    assert_array_equal(grown.counts[:, :3], label_map.counts)
    assert grown.with_label("new") is grown


@given(label_maps(least_examples=1), SEEDS)
def test_leave_one_out_is_withdrawing_for_real(label_map: LabelMap, seed: int) -> None:
    count = len(label_map.ids)
    r = np.random.default_rng(seed).dirichlet(np.ones(label_map.num_channels), count)
    expected = [r[i] @ label_map.withdraw([label_map.ids[i]]).tau for i in range(count)]
    assert_allclose(leave_one_out(label_map, r), expected, atol=1e-9)


def test_a_map_without_examples() -> None:
    assert_array_equal(EMPTY.counts, np.zeros((4, 3)))
    assert_allclose(EMPTY.tau, 1.0 / 3.0)
    assert leave_one_out(EMPTY, np.zeros((0, 4))).shape == (0, 3)
    assert free_channels(EMPTY, 0.5).all()
    assert EMPTY.add(np.zeros((0, 4)), [], []).counts.shape == (4, 3)
    assert EMPTY.withdraw(["nobody"]).ids == ()


def _held(evidence: list[float]) -> LabelMap:
    """A map whose channels have this labelled mass."""
    rows = np.diag(evidence)
    return EMPTY.add(rows, ["label-0"] * len(rows), [str(i) for i in range(len(rows))])


def test_free_is_a_matter_of_evidence() -> None:
    label_map = _held([0.0, 0.49, 0.5, 7.0])
    assert_array_equal(free_channels(label_map, 0.5), [True, True, False, False])


@pytest.mark.parametrize(
    ("evidence", "usage", "most", "claimed"),
    [
        pytest.param([0, 0, 0, 9], [0.2, 0.3, 0.1, 0.4], 3, [1, 0, 2], id="busiest first"),
        pytest.param([0, 0, 0, 9], [0.2, 0.3, 0.1, 0.4], 1, [1], id="at most"),
        pytest.param([0, 0, 9, 9], [0.09, 0.3, 0.2, 0.41], 3, [1], id="not below a tenth"),
        pytest.param([0, 9, 9, 9], [0.01, 0.3, 0.3, 0.39], 3, [0], id="one whatever its use"),
        pytest.param([9, 9, 9, 0], [1.0, 0.0, 0.0, 0.0], 3, [3], id="one even unused"),
        pytest.param([0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], 2, [0, 1], id="lowest index on ties"),
    ],
)
def test_a_new_label_claims_free_channels(
    evidence: list[float], usage: list[float], most: int, claimed: list[int]
) -> None:
    responsibilities = np.array([usage, usage])
    assert_array_equal(
        claim_channels(_held(evidence), responsibilities, free_mass=0.5, most=most), claimed
    )


def test_usage_is_the_mean_over_the_first_examples() -> None:
    responsibilities = np.array([[0.6, 0.4, 0.0, 0.0], [0.0, 0.4, 0.6, 0.0]])
    claimed = claim_channels(EMPTY, responsibilities, free_mass=0.5, most=1)
    assert_array_equal(claimed, [1])


def test_no_free_channel_is_said() -> None:
    with pytest.raises(NoFreeChannel, match=r"less than 0\.5 .* none among 4"):
        claim_channels(_held([1.0, 1.0, 1.0, 1.0]), np.full((1, 4), 0.25), free_mass=0.5)


@given(label_maps())
def test_more_of_the_same_labels_leave_less_ignorance(label_map: LabelMap) -> None:
    """Counts scaled up: the rows of tau stay near, the doubt about them falls."""
    ignorance = [
        entr(posterior_mean(scale * (label_map.counts + 0.01), 1e-9)).sum(axis=1)
        - expected_entropy(scale * (label_map.counts + 0.01), 1e-9)
        for scale in (1.0, 2.0, 8.0, 64.0)
    ]
    assert np.all(np.diff(ignorance, axis=0) <= 1e-9)


@given(label_maps())
def test_the_next_label_is_expected_to_leave_less_ignorance(label_map: LabelMap) -> None:
    """One contradiction may raise it; the mean over what the map foretells may not."""
    counts, floor = label_map.counts, label_map.alpha0
    after = [_ignorance(counts + one, floor) for one in np.eye(len(label_map.labels))]
    expected = (label_map.tau * np.stack(after, axis=1)).sum(axis=1)
    assert np.all(expected <= _ignorance(counts, floor) + 1e-9)


def _ignorance(counts: np.ndarray, alpha0: float) -> np.ndarray:
    mean = posterior_mean(counts, alpha0)
    return np.asarray(entr(mean).sum(axis=1) - expected_entropy(counts, alpha0))


def test_logarithm_of_the_labels_bounds_the_ignorance_of_an_empty_map() -> None:
    assert _ignorance(EMPTY.counts, EMPTY.alpha0).max() < log(3)
