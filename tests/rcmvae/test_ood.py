"""The densities against scikit-learn and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import stats
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA

from rcmvae.ood import (
    FUSED_NAMES,
    LOG_FLOOR,
    LOGGED_NAMES,
    NUM_TYPICAL,
    SCORE_NAMES,
    FusedDensity,
    feature_density,
    fit_fused_density,
    typical_vector,
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


@pytest.mark.parametrize("axes", [3, 64])
def test_feature_distance_is_that_of_scikit_learn(axes: int) -> None:
    """With a variance for every direction, as four features of three axes have."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, 4))
    residual = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    reference = EmpiricalCovariance(assume_centered=True).fit(residual)
    density = feature_density(means, reference.covariance_, axes)
    features, channel = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)
    expected = reference.mahalanobis(features - means[channel])
    assert_allclose(density.distance(features, channel), expected, rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_few_axes_are_probabilistic_pca(seed: int, axes: int) -> None:
    """scikit-learn's PCA has the same precision, from the same covariance by division by n - 1."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))
    density = feature_density(np.zeros((1, 6)), np.cov(rows, rowvar=False), axes)
    precision = density.rest * np.eye(6) - density.axes @ density.axes.T
    expected = PCA(axes, svd_solver="full").fit(rows).get_precision()
    assert_allclose(precision, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_atypicality_is_a_gaussian_density() -> None:
    """-2 log p of scipy's normal differs from it by a constant."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(NUM_TYPICAL, NUM_TYPICAL))
    covariance, mean = root @ root.T + np.eye(NUM_TYPICAL), rng.normal(size=NUM_TYPICAL)
    scores = _scores(30)
    normal = stats.multivariate_normal(mean, covariance)
    surprise = -2.0 * (normal.logpdf(typical_vector(scores)) - normal.logpdf(mean))
    density = FusedDensity(mean, whitener(covariance), np.zeros(3), np.ones(3))
    assert_allclose(density.atypicality(scores), surprise, rtol=1e-9)


def test_fit_agrees_with_scikit_learn_on_many_inputs() -> None:
    scores = _scores(4000)
    typical = typical_vector(scores)
    expected = EmpiricalCovariance().fit(typical).mahalanobis(typical)
    assert_allclose(fit_fused_density(scores).atypicality(scores), expected, rtol=5e-3)


def test_the_density_is_blind_to_sums_of_other_scores() -> None:
    scores = _scores(100)
    changed = scores.copy()
    changed[:, [SCORE_NAMES.index(name) for name in ("negative_elbo", "mixed")]] = 7.0
    assert_array_equal(typical_vector(changed), typical_vector(scores))
    assert_array_equal(
        typical_vector(scores)[:, 2], np.log(scores[:, SCORE_NAMES.index("kl")] + LOG_FLOOR)
    )


def test_too_low_is_as_atypical_as_too_high() -> None:
    scores = _scores(500)
    density = fit_fused_density(scores)
    usual = np.median(density.atypicality(scores))
    low, high = np.exp(density.mean.mean() - 9.0), np.exp(density.mean.mean() + 9.0)
    strange = density.atypicality(np.full((2, len(SCORE_NAMES)), [[low], [high]]))
    assert strange.min() > 10.0 * usual


def _with_distances(density: FusedDensity, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores whose three distances lie ``z`` (n, 3) spreads from their centres."""
    scores = _scores(len(z))
    distances = np.exp(density.centre + density.spread * z) - LOG_FLOOR
    scores[:, [SCORE_NAMES.index(name) for name in FUSED_NAMES]] = distances
    return scores


@given(st.integers(0, 2**32 - 1))
def test_the_fused_score_is_a_smooth_maximum(seed: int) -> None:
    """Between the largest of the three, or zero, and log 4 above it."""
    z = np.random.default_rng(seed).uniform(-3.0, 3.0, (20, 3))
    density = fit_fused_density(_scores(50))
    fused = density.score(_with_distances(density, z))
    largest = np.maximum(z.max(axis=1), 0.0)
    assert (fused >= largest - 1e-9).all()
    assert (fused <= largest + np.log(4.0) + 1e-9).all()
    assert (fused > 0.0).all()


def test_one_distance_that_stands_out_is_enough() -> None:
    density = fit_fused_density(_scores(400))
    usual = np.random.default_rng(0).normal(size=(200, 3))
    strange = np.where(np.eye(3, dtype=bool), 5.0, 0.0)
    fused = density.score(_with_distances(density, np.concatenate([usual, strange])))
    assert fused[200:].min() > fused[:200].max()


def test_each_distance_is_in_units_of_its_own_spread() -> None:
    scores = _scores(300)
    density = fit_fused_density(scores)
    own = scores.copy()
    own[:, SCORE_NAMES.index("atypicality")] = density.atypicality(scores)
    logs = np.log(own[:, [SCORE_NAMES.index(name) for name in FUSED_NAMES]] + LOG_FLOOR)
    assert_allclose((logs - density.centre).mean(axis=0), 0.0, atol=1e-9)
    assert_allclose((logs / density.spread).std(axis=0), 1.0)


def test_a_score_of_zero_stays_finite() -> None:
    zeros = np.zeros((1, len(SCORE_NAMES)), dtype=np.float32)
    assert_allclose(typical_vector(zeros), [[*[np.log(LOG_FLOOR)] * len(LOGGED_NAMES), 0.0]])
    assert np.isfinite(fit_fused_density(_scores(50)).score(zeros)).all()


@pytest.mark.parametrize("name", [*LOGGED_NAMES, "logit_energy", "mahalanobis", "texture"])
def test_a_score_that_never_varies_can_be_fitted(name: str) -> None:
    scores = _scores(50)
    scores[:, SCORE_NAMES.index(name)] = 1.0
    fused = fit_fused_density(scores).score(scores)
    assert np.isfinite(fused).all()


def test_two_scores_that_say_the_same_can_be_fitted() -> None:
    scores = _scores(50)
    scores[:, 1] = scores[:, 0]
    assert np.isfinite(fit_fused_density(scores).score(_scores(50, seed=1))).all()


def test_the_fewest_inputs_that_can_be_fitted() -> None:
    scores = _scores(NUM_TYPICAL + 1)
    assert np.isfinite(fit_fused_density(scores).score(scores)).all()
