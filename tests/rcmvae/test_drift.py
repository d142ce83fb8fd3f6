"""The drift detector against its definition, and its bounds by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import binom

from rcmvae.conformal import ConformalSample
from rcmvae.drift import (
    LEVELS,
    MISS,
    MISS_SHARES,
    STAKES,
    Bets,
    DriftState,
    at_start,
    bets_for,
    watch,
)

SIZES = (240, 1600)
RUN_LENGTH = 1000.0


def _p(bets: Bets, ranks: list[int]) -> NDArray[np.float64]:
    return np.array(ranks, dtype=np.float64) / (bets.size + 1)


def _by_definition(bets: Bets, ranks: list[int]) -> float:
    """Mean over the bets of what each has won since every start: products, added up one by one."""
    starts = range(len(ranks))
    won = [
        math.prod(bets.factors[rank, bet] for rank in ranks[start:])
        for bet in range(bets.count)
        for start in starts
    ]
    return math.fsum(won) / bets.count


@given(st.integers(1, 40), st.data())
def test_evidence_by_its_definition(size: int, data: st.DataObject) -> None:
    bets = bets_for(size)
    ranks = data.draw(st.lists(st.integers(1, size + 1), max_size=12))
    state = watch(at_start(bets), bets, _p(bets, ranks), math.inf)
    assert_allclose(state.evidence, _by_definition(bets, ranks), rtol=1e-9)
    assert (state.inputs, state.alarms, state.since_alarm) == (len(ranks), 0, None)


def test_a_sequence_by_hand() -> None:
    # One bet: it doubles on rank 1 and halves on any other. 0.5, 0.75, 3.5 (alarm at 3), 2, 1.5.
    bets = Bets(3, np.array([[math.nan], [2.0], [0.5], [0.5], [0.5]]))
    state, seen = at_start(bets), []
    for rank in (2, 4, 1, 1, 3):
        state = watch(state, bets, _p(bets, [rank]), 3.0)
        seen.append((state.evidence, state.alarms, state.since_alarm))
    assert seen == [(0.5, 0, None), (0.75, 0, None), (0.0, 1, 0), (2.0, 1, 1), (1.5, 1, 2)]
    assert [state.signals(window) for window in (1, 2, 3)] == [False, False, True]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(0.0, 1.0))
def test_batches_are_the_inputs_one_by_one(seed: int, longest: int, share: float) -> None:
    rng, bets = np.random.default_rng(seed), bets_for(100)
    ranks = np.where(rng.random(300) < share, 1, rng.integers(1, 102, 300))
    whole = one_by_one = at_start(bets)
    for p in _p(bets, ranks.tolist()):
        one_by_one = watch(one_by_one, bets, np.array([p]), RUN_LENGTH)
    start = 0
    while start < ranks.size:
        end = start + int(rng.integers(0, longest + 1))
        whole = watch(whole, bets, _p(bets, ranks[start:end].tolist()), RUN_LENGTH)
        start = end
    assert_allclose(whole.sums, one_by_one.sums, rtol=1e-9, atol=1e-30)
    counts = [(s.inputs, s.alarms, s.since_alarm) for s in (whole, one_by_one)]
    assert counts[0] == counts[1]


@given(st.integers(1, 5000))
def test_bets_are_worth_most_where_inputs_are_strangest(size: int) -> None:
    bets = bets_for(size)
    assert bets.factors.shape[0] == size + 2
    assert (bets.factors > 0.0).all()
    assert (np.diff(bets.factors, axis=0) <= 0.0).all()
    # What loses keeps the rest of its stake, and nothing wins on the most familiar rank.
    lost = np.tile(1.0 - np.array(STAKES), bets.count // len(STAKES))
    assert_allclose(bets.factors[size + 1], lost)


@pytest.mark.parametrize("size", SIZES)
def test_prices_by_the_binomial_distribution(size: int) -> None:
    """The i-th smallest of n uniforms is below c where at least i of them are."""
    factors = bets_for(size).factors.reshape(size + 2, len(LEVELS), len(STAKES))
    assert math.isclose(sum(MISS_SHARES), 1.0), "the union bound promises MISS in all"
    for level, share, column in zip(LEVELS, MISS_SHARES, factors[:, :, 0].T, strict=True):
        rank = max(1, int(level * (size + 1)))
        price = STAKES[0] / (column[rank] - (1.0 - STAKES[0]))
        assert column[rank] > column[rank + 1]
        assert_allclose(binom.sf(rank - 1, size, price), 1.0 - MISS * share, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("values", [5, 0])
def test_no_bet_pays_on_average_but_for_few_calibration_samples(size: int, values: int) -> None:
    """Exactly: the expectation of every factor given the sample, by counting a large stream."""
    rng, bets, samples = np.random.default_rng(1), bets_for(size), 300

    def draw(count: int) -> NDArray[np.float64]:
        # Many ties, as where routing saturates; or none.
        return rng.integers(0, values, count).astype(np.float64) if values else rng.random(count)

    # Given the sample, a score above s has the chance of what lies above s: known for both laws.
    paying = 0
    for _ in range(samples):
        sample = np.sort(draw(size))
        p = ConformalSample(sample).p_values(_grid(values))
        ranks = np.rint(p * (size + 1)).astype(np.int64)
        paying += bool((bets.factors[ranks].mean(axis=0) > 1.0 + 1e-9).any())
    assert paying <= binom.ppf(0.999, samples, MISS)


def _grid(values: int) -> NDArray[np.float64]:
    """A law of scores as equally likely points."""
    return np.arange(values, dtype=np.float64) if values else (np.arange(5000) + 0.5) / 5000


@pytest.mark.parametrize("size", SIZES)
def test_false_alarms_keep_to_one_in_the_run_length(size: int) -> None:
    rng, bets = np.random.default_rng(2), bets_for(size)
    length, streams = 5000, 20
    alarms, first_in_time = 0, 0
    for _ in range(streams):
        sample = np.sort(rng.random(size))
        p = ConformalSample(sample).p_values(rng.random(length))
        alarms += watch(at_start(bets), bets, p, RUN_LENGTH).alarms
        first_in_time += watch(at_start(bets), bets, p[:100], RUN_LENGTH).alarms > 0
    assert alarms <= streams * length / RUN_LENGTH
    # Within t inputs with probability at most t / A, and MISS.
    assert first_in_time <= binom.ppf(0.999, streams, 100 / RUN_LENGTH + MISS)


@pytest.mark.parametrize(("size", "most"), [(240, 350), (1600, 150)])
def test_outliers_are_noticed(size: int, most: int) -> None:
    rng, bets = np.random.default_rng(3), bets_for(size)
    for _ in range(20):
        sample = np.sort(rng.random(size))
        before = watch(
            at_start(bets), bets, ConformalSample(sample).p_values(rng.random(5000)), 1e6
        )
        scores = np.where(rng.random(most) < 0.1, 2.0, rng.random(most))
        after = watch(before, bets, ConformalSample(sample).p_values(scores), 1e6)
        assert (before.alarms, after.alarms > 0) == (0, True)


def test_nothing_seen_changes_nothing() -> None:
    bets = bets_for(10)
    state = watch(at_start(bets), bets, np.empty(0), RUN_LENGTH)
    assert isinstance(state, DriftState)
    assert (state.evidence, state.inputs, state.signals(10)) == (0.0, 0, False)
