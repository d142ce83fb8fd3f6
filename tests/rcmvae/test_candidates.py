"""Every strategy: what holds for all of them, and what each is for, by brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy

from rcmvae.candidates import Pool, Strategy, pool_of, reasons, suggest
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from rcmvae.uncertainty import Uncertainty

EVERY = pytest.mark.parametrize("strategy", list(Strategy))
LABELS = ("a", "b", "c")


def _pool(seed: int, count: int = 30, channels: int = 5, labelled: float = 0.2) -> Pool:
    """A pool with ties: coarse values, and inputs that come twice."""
    rng = np.random.default_rng(seed)
    r = np.round(rng.dirichlet(np.full(channels, 0.3), count), 1) + 0.01
    r /= r.sum(axis=1, keepdims=True)
    tau = rng.dirichlet(np.ones(len(LABELS)), channels)
    latent = rng.integers(0, 3, (count, 2)).astype(np.float64)
    twice = rng.integers(0, count, count // 3)
    r[: twice.size], latent[: twice.size] = r[twice], latent[twice]
    return Pool(
        key=rng.permutation(count).astype(np.int64),
        responsibilities=r,
        probabilities=r @ tau,
        epistemic=np.round(rng.random(count), 1),
        latent=latent,
        p_familiar=rng.integers(1, 5, count) / 5,
        p_owned=rng.integers(1, 5, count) / 5,
        labelled=rng.random(count) < labelled,
        tau=tau,
        evidence=np.round(rng.random(channels), 1),
    )


@EVERY
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_distinct_unlabelled_rows_as_many_as_there_are(
    strategy: Strategy, seed: int, count: int
) -> None:
    pool = _pool(seed)
    found = suggest(pool, strategy, count)
    assert found.rows.size == found.scores.size == min(count, pool.open)
    assert len(set(found.rows.tolist())) == found.rows.size
    assert not pool.labelled[found.rows].any()
    assert len(reasons(pool, strategy, found.rows.tolist(), LABELS)) == found.rows.size


@EVERY
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_order_of_the_pool_has_no_say(strategy: Strategy, seed: int, count: int) -> None:
    pool = _pool(seed)
    order = np.random.default_rng(seed + 1).permutation(len(pool))
    plain = suggest(pool, strategy, count)
    shuffled = suggest(pool.take(order), strategy, count)
    assert_array_equal(order[shuffled.rows], plain.rows)
    assert_allclose(shuffled.scores, plain.scores, rtol=1e-9)


@EVERY
def test_fewer_are_the_first_of_more(strategy: Strategy) -> None:
    pool = _pool(3)
    assert_array_equal(suggest(pool, strategy, 4).rows, suggest(pool, strategy, 9).rows[:4])


@EVERY
def test_nothing_is_left_where_all_is_labelled(strategy: Strategy) -> None:
    assert suggest(_pool(1, labelled=1.0), strategy, 5).rows.size == 0


def _score(pool: Pool, strategy: Strategy, row: int) -> float:
    """The score of one row by its definition."""
    p = np.sort(pool.probabilities[row])
    soft = pool.responsibilities[row] ** (1 / 3)
    soft /= soft.sum()
    verdict = soft @ pool.tau
    votes = zip(soft, pool.tau, strict=True)
    by_strategy = {
        Strategy.ENTROPY: float(scipy_entropy(p)),
        Strategy.MARGIN: 1.0 - (p[-1] - p[-2]),
        Strategy.EPISTEMIC: pool.epistemic[row],
        Strategy.DISAGREEMENT: sum(r * scipy_entropy(vote, verdict) for r, vote in votes),
        Strategy.OOD: -np.log(pool.p_familiar[row] * pool.p_owned[row]),
    }
    return float(by_strategy[strategy])


@pytest.mark.parametrize("strategy", list(Strategy)[:5])
def test_ranked_by_the_score_and_ties_by_the_key(strategy: Strategy) -> None:
    pool = _pool(7)
    found = suggest(pool, strategy, len(pool))
    expected = [_score(pool, strategy, row) for row in found.rows]
    assert_allclose(found.scores, expected, atol=1e-9)
    assert (np.diff(found.scores) <= 0.0).all()
    for (first, a), (second, b) in itertools.pairwise(zip(found.rows, found.scores, strict=True)):
        assert a > b or pool.key[first] < pool.key[second]


def _plain(latent: NDArray[np.float64], channel: list[int], **changed: object) -> Pool:
    """A pool in which all is alike but for place and channel."""
    count, channels = len(latent), max(channel) + 1
    values: dict[str, object] = {
        "key": np.arange(count),
        "responsibilities": np.eye(channels)[channel],
        "probabilities": np.full((count, 2), 0.5),
        "epistemic": np.zeros(count),
        "latent": latent,
        "p_familiar": np.ones(count),
        "p_owned": np.ones(count),
        "labelled": np.zeros(count, dtype=bool),
        "tau": np.full((channels, 2), 0.5),
        "evidence": np.zeros(channels),
    }
    return Pool(**(values | changed))  # type: ignore[arg-type]


def test_diverse_goes_to_the_farthest_and_shuns_the_strange() -> None:
    latent = np.array([[0.0], [1.0], [4.0], [9.0], [100.0]])
    strange = np.array([1.0, 1.0, 1.0, 1.0, 1e-5])
    labelled = np.array([True, False, False, False, False])
    pool = _plain(latent, [0] * 5, p_familiar=strange, labelled=labelled)
    # 9 is 9 from 0; then 4 is 4 from 0, and 1 is 1; 100 counts for nothing.
    assert suggest(pool, Strategy.DIVERSE, 3).rows.tolist() == [3, 2, 1]
    certain = np.array([[1.0, 0.0]] * 3 + [[0.5, 0.5]] * 2)
    pool = _plain(latent[:5], [0] * 5, probabilities=certain)
    assert set(suggest(pool, Strategy.DIVERSE, 2).rows.tolist()) == {3, 4}


def test_representatives_are_typical_of_the_channel_that_most_wait_for() -> None:
    latent = np.array([[0.0], [1.0], [5.0], [0.0], [2.0], [3.0], [4.0], [30.0], [7.0]])
    channel = [0, 0, 0, 1, 1, 1, 1, 1, 2]
    pool = _plain(latent, channel)
    # Medians: 3 of the five in channel 1, 1 of the three in channel 0. One example leaves a channel
    # a third of its need, and its second representative is of another style.
    found = suggest(pool, Strategy.REPRESENTATIVES, 3)
    assert found.rows.tolist() == [5, 1, 7]
    assert_allclose(found.scores, [5 / 9, 3 / 9, 5 / 27])
    # Half an example halves the need, so that channel 0 comes first; then the others in turn.
    known = _plain(latent, channel, evidence=np.array([0.0, 0.5, 0.0]))
    assert suggest(known, Strategy.REPRESENTATIVES, 2).rows.tolist() == [1, 5]


def test_unowned_asks_about_what_is_new_and_typical_and_not_about_what_is_odd() -> None:
    latent = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [50.0], [0.0], [1.0], [2.0]])
    channel = [0, 0, 0, 0, 0, 0, 1, 1, 1]
    # Channel 0 holds six inputs that labels own but for one, an odd one; channel 1 holds a class
    # that is new, whose last input is owned.
    p_owned = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.01, 0.01, 0.01, 1.0])
    evidence = np.array([4.5, 0.0])
    pool = _plain(latent, channel, p_owned=p_owned, evidence=evidence)
    found = suggest(pool, Strategy.UNOWNED, 4)
    # The new ones are as typical of each other, so the lower key wins; then the owned one beside
    # them, and what is typical of the channel with the odd one.
    assert found.rows.tolist() == [6, 7, 8, 2]
    new, odd = 2 * np.log(100) / 9, np.log(100) / 9
    assert_allclose(found.scores, [new, new / 3, new / 5, odd / 10], rtol=1e-9)


def test_where_all_is_owned_alike_unowned_are_representatives() -> None:
    pool = replace(_pool(11), p_owned=np.ones(30))
    expected = suggest(pool, Strategy.REPRESENTATIVES, 12).rows
    assert_array_equal(suggest(pool, Strategy.UNOWNED, 12).rows, expected)


def test_a_channel_without_an_open_input_is_passed_over() -> None:
    latent = np.zeros((4, 1))
    labelled = np.array([True, True, True, False])
    pool = _plain(latent, [0, 0, 0, 1], labelled=labelled)
    assert suggest(pool, Strategy.REPRESENTATIVES, 2).rows.tolist() == [3]


def test_one_label_leaves_no_margin() -> None:
    pool = _plain(np.zeros((3, 1)), [0, 0, 0], probabilities=np.ones((3, 1)), tau=np.ones((1, 1)))
    assert suggest(pool, Strategy.MARGIN, 2).scores.tolist() == [0.0, 0.0]


def test_a_pool_follows_the_map_that_it_is_given() -> None:
    rng = np.random.default_rng(5)
    r = (0.9 * np.eye(4)[[0, 1, 2, 3, 0, 2]] + 0.1 * rng.dirichlet(np.ones(4), 6)).astype(
        np.float32
    )
    nothing = np.zeros(6)
    batch = PredictionBatch(
        labels=("a",),
        probabilities=np.ones((6, 1), dtype=np.float32),
        responsibilities=r,
        channel=r.argmax(axis=1),
        position=rng.random((6, 2)).astype(np.float32),
        uncertainty=Uncertainty(nothing, nothing, nothing, nothing),
        score_names=("s",),
        scores=np.zeros((6, 1), dtype=np.float32),
        p_familiar=np.full(6, 0.5),
        p_owned=np.full(6, 0.25),
        label_p_values=np.ones((6, 1)),
    )
    label_map = LabelMap(("a", "b"), np.eye(4)[:2], np.array([0, 1]), ("x", "y"), alpha0=0.05)
    pool = pool_of(batch, label_map, np.arange(6), np.zeros(6, dtype=bool))
    assert_allclose(pool.probabilities, r @ label_map.tau, rtol=1e-6)
    assert_allclose(pool.evidence, [1.0, 1.0, 0.0, 0.0])
    # Nothing is known of the last two channels, so inputs there have more to learn from.
    assert pool.epistemic[[2, 3, 5]].min() > pool.epistemic[[0, 1, 4]].max()
    distance = np.linalg.norm(pool.latent[:, None] - pool.latent, axis=2)
    assert (distance[~np.eye(6, dtype=bool)] > 0.0).all()
