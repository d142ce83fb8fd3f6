"""Calibration error, Brier score and prediction sets, against scikit-learn, SciPy and MAPIE."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from rcmvae.calibration import Calibration, PValues
from rcmvae.ood import SCORE_NAMES
from training.reliability import (
    binomial_interval,
    brier_score,
    coverage_interval,
    reliability,
    set_figures,
)

SEEDS = st.integers(0, 2**16)


Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


def answers(seed: int, count: int = 300, labels: int = 4) -> tuple[Matrix, Labels]:
    """Probabilities, and truths that are drawn from sharper ones."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(labels, 0.5), count)
    sharper = p**1.5 / (p**1.5).sum(axis=1, keepdims=True)
    truth = (rng.random((count, 1)) > sharper.cumsum(axis=1)).sum(axis=1).clip(max=labels - 1)
    return p, truth


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_diagram_is_that_of_scikit_learn(seed: int) -> None:
    p, truth = answers(seed)
    right, confidence = p.argmax(axis=1) == truth, p.max(axis=1)
    found = reliability(confidence, right)
    theirs = calibration_curve(right, confidence, n_bins=15)
    assert_allclose((found.right, found.confidence), theirs)
    assert found.count.sum() == len(truth)
    assert found.expected_error >= abs(found.overconfidence) - 1e-12
    assert found.overconfidence == pytest.approx(confidence.mean() - right.mean())


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_brier_is_that_of_scikit_learn_and_of_its_parts(seed: int) -> None:
    p, truth = answers(seed)
    expected = brier_score_loss(truth, p, labels=np.arange(4), scale_by_half=False)
    assert brier_score(p, truth) == pytest.approx(expected)
    # Murphy's parts are those of the confidence that is the mean of its bin.
    right = p.argmax(axis=1) == truth
    place = np.minimum((p.max(axis=1) * 15).astype(int), 14)
    binned = np.array([p.max(axis=1)[place == b].mean() for b in place])
    found = reliability(p.max(axis=1), right)
    parts = found.miscalibration - found.resolution + found.difficulty
    assert parts == pytest.approx(brier_score_loss(right, binned))


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose inputs are its answers."""

    def __init__(self, labels: int = 4) -> None:
        self.labels = labels

    def fit(self, x: Matrix, y: Labels) -> "Given":
        self.classes_ = np.arange(self.labels)
        self.n_features_in_ = self.labels
        return self

    def predict_proba(self, x: Matrix) -> Matrix:
        return x

    def predict(self, x: Matrix) -> Labels:
        return np.asarray(x.argmax(axis=1))


def mapie_sets(held: Matrix, truth: Labels, x: Matrix, alpha: float) -> NDArray[np.bool_]:
    """Sets of MAPIE with the LAC score, bool (n, C)."""
    theirs = SplitConformalClassifier(
        Given().fit(held, truth), confidence_level=1 - alpha, conformity_score="lac"
    )
    return np.asarray(theirs.conformalize(held, truth).predict_set(x)[1][:, :, 0])


def p_values(held: Matrix, truth: Labels) -> PValues:
    scores = 1.0 - held[np.arange(len(held)), truth]
    order = np.argsort(scores, kind="stable")
    calibration = Calibration(
        temperature=1.0,
        alpha0=0.02,
        alpha=0.01,
        free_mass=0.5,
        score_names=SCORE_NAMES,
        owned_source="held_out",
        fused=(0.0,),
        owned=(0.0,),
        label_set=tuple(scores[order].tolist()),
        label_set_labels=tuple(truth[order].tolist()),
    )
    return PValues(calibration)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_sets_are_those_of_mapie(alpha: float) -> None:
    held, truth = answers(1, 199)
    x, _ = answers(2, 100)
    ours = p_values(held, truth).labels(x) > alpha
    assert_array_equal(ours, mapie_sets(held, truth, x, alpha))


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
@pytest.mark.parametrize("alpha", [0.1, 0.25])
def test_class_conditional_sets_are_those_of_mapie_for_each_label_alone(alpha: float) -> None:
    held, truth = answers(3, 400)
    x, _ = answers(4, 100)
    ours = p_values(held, truth).labels(x, "class_conditional") > alpha
    for y in range(4):
        own = truth == y
        theirs = mapie_sets(held[own], truth[own], x, alpha)
        assert_array_equal(ours[:, y], theirs[:, y])


def test_class_conditional_sets_cover_every_label_over_many_splits() -> None:
    """A rare and hard label too, where sets over all inputs do not."""
    rng = np.random.default_rng(0)
    shares, lowest = np.array([0.9, 0.1]), []
    for _ in range(200):
        truth = (rng.random(800) < shares[1]).astype(np.int64)
        sure = np.where(truth == 0, 0.95, 0.4)
        right = np.clip(rng.normal(sure, 0.2), 0.01, 0.99)
        p = np.stack(
            [np.where(truth == 0, right, 1 - right), np.where(truth == 1, right, 1 - right)]
        )
        held, tested = p.T[:500], p.T[500:]
        judge = p_values(held, truth[:500])
        lowest.append(
            [
                set_figures(judge.labels(tested, coverage), truth[500:], 0.1).lowest
                for coverage in ("marginal", "class_conditional")
            ]
        )
    marginal, conditional = np.mean(lowest, axis=0)
    assert marginal < 0.6
    # The lower of two labels lies below the mean coverage of each.
    assert conditional > 0.85


def test_figures_of_sets_by_hand() -> None:
    p = np.array([[0.5, 0.02], [0.5, 0.5], [0.01, 0.01], [0.01, 0.5]])
    figures = set_figures(p, np.array([0, 1, 1, 1]), 0.05)
    assert (figures.coverage, figures.size, figures.empty) == (0.75, 1.0, 0.25)
    assert figures.lowest == pytest.approx(2 / 3)


@pytest.mark.parametrize(("count", "alpha"), [(597, 0.01), (10_000, 0.05)])
def test_the_binomial_interval_ends_where_a_test_of_it_rejects(count: int, alpha: float) -> None:
    low, high = (round(share * count) for share in binomial_interval(count, alpha))
    few = [binomtest(k, count, 1 - alpha, "less").pvalue for k in (low - 1, low)]
    many = [binomtest(k, count, 1 - alpha, "greater").pvalue for k in (high + 1, high)]
    for beyond, inside in (few, many):
        assert inside > 0.025 >= beyond


@pytest.mark.parametrize(("calibrated", "alpha"), [(300, 0.01), (200, 0.05), (50, 0.01)])
def test_coverage_over_draws_of_both_samples_lies_in_its_interval(
    calibrated: int, alpha: float
) -> None:
    rng = np.random.default_rng(0)
    low, high = coverage_interval(400, calibrated, alpha)
    inside = []
    for _ in range(2000):
        sample, scores = np.sort(rng.random(calibrated)), rng.random(400)
        p = (1 + calibrated - np.searchsorted(sample, scores)) / (calibrated + 1)
        inside.append(low <= (p > alpha).mean() <= high)
    assert 0.93 <= np.mean(inside) <= 1.0
