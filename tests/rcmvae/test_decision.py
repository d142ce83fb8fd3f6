"""Conformal p-values by brute force, and their guarantee without a random number.

The guarantee holds for exchangeable scores: of n + 1 scores each is as likely to be the new one.
So over the n + 1 ways to choose it, the share with p <= alpha must not pass alpha, whatever the
scores are. That is exact, and it is what the tests check.
"""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from rcmvae.conformal import ConformalSample
from rcmvae.decision import (
    Decision,
    benjamini_hochberg,
    decide,
    decide_batch,
    prediction_set,
    smallest_alpha,
)

KNOWN, UNKNOWN_CLASS, OUT = (
    Decision.KNOWN,
    Decision.UNKNOWN_CLASS,
    Decision.OUT_OF_DISTRIBUTION,
)
FEW_VALUES = st.integers(-3, 3).map(float)
SCORES = st.one_of(FEW_VALUES, st.floats(allow_nan=False))
ALPHAS = st.one_of(st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.floats(0.001, 0.999))


def _each_as_the_new_one(scores: list[float]) -> NDArray[np.float64]:
    """p-value of every score against all the others, (n + 1,)."""
    p = [
        ConformalSample(np.sort(scores[:i] + scores[i + 1 :])).p_values(np.array(scores[i]))
        for i in range(len(scores))
    ]
    return np.array(p)


@given(st.lists(SCORES, max_size=12), st.lists(SCORES, min_size=1, max_size=5))
def test_p_value_by_its_definition(calibration: list[float], scores: list[float]) -> None:
    p = ConformalSample(np.sort(np.array(calibration))).p_values(np.array(scores))
    expected = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert_array_equal(p, expected)


@given(st.lists(SCORES, min_size=2, max_size=20), ALPHAS)
@example(scores=[0.0] * 10, alpha=0.05)
@example(scores=[float(i) for i in range(20)], alpha=0.05)
def test_false_alarms_keep_to_alpha(scores: list[float], alpha: float) -> None:
    assert np.mean(_each_as_the_new_one(scores) <= alpha) <= alpha


def test_distinct_scores_waste_nothing() -> None:
    p = _each_as_the_new_one([3.0, 1.0, 2.0, 0.0])
    assert_array_equal(p, [0.25, 0.75, 0.5, 1.0])


def test_not_a_number_is_stranger_than_everything() -> None:
    calibration = np.array([0.0, 1.0, np.inf])
    p = ConformalSample(calibration[:2]).p_values(np.array([np.nan, np.inf, -np.inf]))
    assert_array_equal(p, [1 / 3, 1 / 3, 1.0])
    assert ConformalSample(calibration[:2]).p_values(np.array([np.nan], dtype=np.float32)) == 1 / 3


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0, 3)])
def test_p_values_have_the_shape_of_the_scores(shape: tuple[int, ...]) -> None:
    p = ConformalSample(np.arange(9.0)).p_values(np.ones(shape, dtype=np.float32))
    assert p.shape == shape
    assert p.dtype == np.float64


@pytest.mark.parametrize(
    ("p_familiar", "p_owned", "decision"),
    [
        (0.051, 0.051, KNOWN),
        (0.05, 0.051, OUT),
        (0.051, 0.05, UNKNOWN_CLASS),
        (0.05, 0.05, OUT),
        (1.0, 0.001, UNKNOWN_CLASS),
        (0.001, 1.0, OUT),
    ],
)
def test_each_question_has_half_of_alpha(
    p_familiar: float, p_owned: float, decision: Decision
) -> None:
    assert decide(np.array([p_familiar]), np.array([p_owned]), alpha=0.1) == [decision]


def test_rows_are_decided_one_by_one() -> None:
    p_familiar, p_owned = np.array([1.0, 0.01, 1.0]), np.array([1.0, 1.0, 0.01])
    assert decide(p_familiar, p_owned, 0.05) == [KNOWN, OUT, UNKNOWN_CLASS]
    assert decide(np.array([]), np.array([]), 0.05) == []
    with pytest.raises(ValueError, match="shorter"):
        decide(p_familiar, p_owned[:2], 0.05)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=2, max_size=20), ALPHAS)
def test_both_questions_together_keep_to_alpha(
    scores: list[tuple[float, float]], alpha: float
) -> None:
    fused, owned = ([*column] for column in zip(*scores, strict=True))
    decisions = decide(_each_as_the_new_one(fused), _each_as_the_new_one(owned), alpha)
    alarms = sum(decision is not Decision.KNOWN for decision in decisions)
    assert alarms / len(scores) <= alpha


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_below_the_smallest_alpha_a_question_falls_silent(n: int, m: int) -> None:
    alpha = smallest_alpha((n, m))
    lowest = [ConformalSample(np.zeros(size)).p_values(np.array([np.inf])) for size in (n, m)]
    everything = np.array([1.0])
    assert decide(lowest[0], everything, alpha) == [OUT]
    assert decide(everything, lowest[1], alpha) == [UNKNOWN_CLASS]
    below = np.nextafter(alpha, 0.0)
    assert KNOWN in decide(lowest[0], everything, below) + decide(everything, lowest[1], below)


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3), ALPHAS, ALPHAS)
def test_prediction_sets_are_nested(p: list[float], one: float, other: float) -> None:
    labels = ("a", "b", "c")
    wide = prediction_set(labels, np.array(p), min(one, other))
    narrow = prediction_set(labels, np.array(p), max(one, other))
    assert set(narrow) <= set(wide)
    assert wide == [
        label for label, value in zip(labels, p, strict=True) if value > min(one, other)
    ]


@given(st.integers(0, 2**32 - 1), st.integers(2, 20), ALPHAS)
def test_prediction_sets_cover_the_truth(seed: int, count: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(3, 0.3), count)
    truth = rng.integers(0, 3, count)
    strangeness = 1.0 - probabilities[np.arange(count), truth]
    missed = 0
    for i in range(count):
        calibration = np.sort(np.delete(strangeness, i))
        p = ConformalSample(calibration).p_values(1.0 - probabilities[i])
        missed += str(truth[i]) not in prediction_set(("0", "1", "2"), p, alpha)
    assert missed / count <= alpha


def test_prediction_set_of_a_batch_row_is_in_the_order_of_the_labels() -> None:
    assert prediction_set(("b", "a"), np.array([0.3, 0.2]), 0.1) == ["b", "a"]
    assert prediction_set(("b", "a"), np.array([0.1, 0.2]), 0.1) == ["a"]


def test_p_values_fall_as_scores_rise() -> None:
    calibration = np.sort(np.random.default_rng(0).normal(size=50))
    p = ConformalSample(calibration).p_values(np.linspace(-4, 4, 99))
    assert np.all(np.diff(p) <= 0)
    assert_allclose(p[[0, -1]], [1.0, 1 / 51])


P_VALUES = st.one_of(st.sampled_from([0.001, 0.01, 0.02, 0.5, 1.0]), st.floats(1e-6, 1.0))


@given(st.lists(P_VALUES, min_size=1, max_size=30), ALPHAS)
@example(p=[0.05, 0.1], rate=0.1)
def test_the_step_up_procedure_is_that_of_scipy(p: list[float], rate: float) -> None:
    adjusted = false_discovery_control(p, method="bh")
    near = np.isclose(adjusted, rate, rtol=1e-12)  # there rounding decides, in both
    rejected = benjamini_hochberg(np.array(p), rate)
    assert_array_equal(rejected[~near], (adjusted <= rate)[~near])


def test_no_batch_no_rejection() -> None:
    assert benjamini_hochberg(np.array([]), 0.1).size == 0
    assert decide_batch(np.array([]), np.array([]), 0.1) == []


def test_a_batch_flags_what_row_by_row_at_the_same_rate_does_not() -> None:
    """Among many that stand out, the bound is the rate itself; one alone has to stand out more."""
    ones = np.ones(4)
    assert decide_batch(np.array([0.04, 0.04, 0.04, 0.04]), ones, 0.1) == [OUT] * 4
    assert decide_batch(np.array([0.04, 1.0, 1.0, 1.0]), ones, 0.1) == [KNOWN] * 4
    assert decide_batch(ones, np.array([0.0125, 1.0, 1.0, 1.0]), 0.1)[0] is UNKNOWN_CLASS


@pytest.mark.parametrize("outliers", [0, 5, 40])
@pytest.mark.parametrize("dependence", [0.0, 0.9])
def test_false_discoveries_keep_to_the_rate(outliers: int, dependence: float) -> None:
    """Over many draws of calibration sample and batch; the questions may depend on each other.

    All known inputs of a batch share the two calibration samples, so their p-values are dependent:
    PRDS, under which Benjamini and Hochberg's bound holds (Bates et al. 2023).
    """
    rng = np.random.default_rng(outliers)
    batch, draws, rate = 50, 1500, 0.2
    shares = np.empty(draws)
    for draw in range(draws):
        fused = rng.normal(size=100 + batch)
        owned = dependence * fused + (1.0 - dependence) * rng.normal(size=100 + batch)
        fused[100 : 100 + outliers] += 4.0
        p = [ConformalSample(np.sort(s[:100])).p_values(s[100:]) for s in (fused, owned)]
        flagged = np.array([d is not KNOWN for d in decide_batch(p[0], p[1], rate)])
        shares[draw] = flagged[outliers:].sum() / max(1, flagged.sum())
    assert shares.mean() <= rate + 3.0 * shares.std() / np.sqrt(draws)


def _false_alarms(rng: np.random.Generator, split: int, alpha: float) -> float:
    """Share of known inputs flagged after one draw of both samples, (2, 400) tests."""
    fused, owned = rng.gamma(2.0, size=split + 400), rng.beta(0.3, 3.0, size=split + 400)
    p = [ConformalSample(np.sort(s[:split])).p_values(s[split:]) for s in (fused, owned)]
    return float(np.mean([d is not KNOWN for d in decide(p[0], p[1], alpha)]))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_guarantee_over_many_splits(alpha: float) -> None:
    """The mean over 300 draws keeps to alpha; a single split may not, and does not have to."""
    rng = np.random.default_rng(7)
    rates = np.array([_false_alarms(rng, 399, alpha) for _ in range(300)])
    assert rates.mean() <= alpha + 3.0 * rates.std() / np.sqrt(len(rates))
    assert rates.mean() >= 0.5 * alpha  # not by never raising an alarm
    assert (rates > alpha).any()
