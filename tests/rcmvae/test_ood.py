"""The densities against scikit-learn and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import stats
from sklearn.covariance import EmpiricalCovariance

from rcmvae.ood import (
    FUSED_NAMES,
    LOG_FLOOR,
    SCORE_NAMES,
    FeatureDensity,
    FusedDensity,
    fit_fused_density,
    log_scores,
    whitener,
)


def _scores(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Correlated positive scores, (count, S)."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(len(SCORE_NAMES), len(SCORE_NAMES)))
    return np.asarray(np.exp(0.3 * rng.normal(size=(count, len(SCORE_NAMES))) @ mixing))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_whitener_inverts_the_covariance(seed: int, size: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(size + 20, size))
    covariance = rows.T @ rows / len(rows)
    factor = whitener(covariance)
    assert_allclose(factor @ factor.T @ covariance, np.eye(size), atol=1e-8)


def test_feature_distance_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, 4))
    residual = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    reference = EmpiricalCovariance(assume_centered=True).fit(residual)
    density = FeatureDensity(means, whitener(reference.covariance_))
    features, channel = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
    expected = reference.mahalanobis(features - means[channel])
    assert_allclose(density.distance(features, channel), expected, rtol=1e-9)


def test_fused_score_is_a_gaussian_density() -> None:
    """-2 log p of scipy's normal differs from the fused score by a constant."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance, mean = root @ root.T + np.eye(4), rng.normal(size=4)
    scores = _scores(30)
    normal = stats.multivariate_normal(mean, covariance)
    surprise = -2.0 * (normal.logpdf(log_scores(scores)) - normal.logpdf(mean))
    fused = FusedDensity(mean, whitener(covariance)).score(scores)
    assert_allclose(fused, surprise, rtol=1e-9)


def test_fit_agrees_with_scikit_learn_on_many_inputs() -> None:
    scores = _scores(4000)
    expected = EmpiricalCovariance().fit(log_scores(scores)).mahalanobis(log_scores(scores))
    assert_allclose(fit_fused_density(scores).score(scores), expected, rtol=5e-3)


def test_the_density_is_blind_to_the_sum_of_two_scores() -> None:
    """`negative_elbo` would only say twice what its two terms say."""
    scores = _scores(100)
    changed = scores.copy()
    changed[:, SCORE_NAMES.index("negative_elbo")] = 7.0
    assert_array_equal(log_scores(changed), log_scores(scores))
    assert_array_equal(
        log_scores(scores)[:, 2], np.log(scores[:, SCORE_NAMES.index("kl")] + LOG_FLOOR)
    )


def test_too_low_is_as_strange_as_too_high() -> None:
    scores = _scores(500)
    density = fit_fused_density(scores)
    usual = np.median(density.score(scores))
    low, high = np.exp(density.mean.mean() - 9.0), np.exp(density.mean.mean() + 9.0)
    strange = density.score(np.full((2, len(SCORE_NAMES)), [[low], [high]]))
    assert strange.min() > 10.0 * usual


def test_a_score_of_zero_stays_finite() -> None:
    zeros = np.zeros((1, len(SCORE_NAMES)), dtype=np.float32)
    assert_allclose(log_scores(zeros), np.log(LOG_FLOOR))


@pytest.mark.parametrize("column", range(len(FUSED_NAMES)))
def test_a_score_that_never_varies_can_be_fitted(column: int) -> None:
    scores = _scores(50)
    scores[:, SCORE_NAMES.index(FUSED_NAMES[column])] = 1.0
    fused = fit_fused_density(scores).score(scores)
    assert np.isfinite(fused).all()
    assert fused.min() >= 0.0


def test_two_scores_that_say_the_same_can_be_fitted() -> None:
    scores = _scores(50)
    scores[:, 1] = scores[:, 0]
    assert np.isfinite(fit_fused_density(scores).score(_scores(50, seed=1))).all()


def test_the_fewest_inputs_that_can_be_fitted() -> None:
    scores = _scores(len(FUSED_NAMES) + 1)
    assert np.isfinite(fit_fused_density(scores).score(scores)).all()
