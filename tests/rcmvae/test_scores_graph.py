"""The graph of the scores against NumPy and SciPy in float64."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from onnx import ModelProto
from scipy.special import logit, logsumexp, softmax, xlog1py, xlogy
from scipy.stats import norm

from rcmvae.ood import (
    NUM_TYPICAL,
    SCORE_NAMES,
    SMALLEST_SIGMA,
    FeatureDensity,
    FusedDensity,
    LatentPrior,
    feature_density,
)
from rcmvae.scores_graph import Likelihood, Placement, scores_graph
from tests.rcmvae.served_run import Arrays, run_read

SHAPE, CHANNELS, LATENT, FEATURES, TEXTURE = (1, 2, 3), 3, 2, 4, 3


@dataclass(frozen=True)
class _Densities:
    features: FeatureDensity
    texture: FeatureDensity
    fused: FusedDensity
    placement: Placement


def _random_density(rng: np.random.Generator, size: int) -> FeatureDensity:
    root = rng.normal(size=(size, size))
    covariance = root @ root.T + 0.1 * np.eye(size)
    return feature_density(rng.normal(size=(CHANNELS, size)), covariance, axes=2)


def _densities(seed: int) -> _Densities:
    rng = np.random.default_rng(seed)
    fused = FusedDensity(
        mean=rng.normal(size=NUM_TYPICAL),
        whitener=rng.normal(size=(NUM_TYPICAL, NUM_TYPICAL)),
        centre=rng.normal(size=3),
        spread=rng.uniform(0.2, 2.0, size=3),
    )
    placement = Placement(rng.normal(size=(CHANNELS, 2)), rng.normal(size=(LATENT, 2)))
    return _Densities(
        _random_density(rng, FEATURES), _random_density(rng, TEXTURE), fused, placement
    )


def _scores_model(
    d: _Densities, prior: LatentPrior | None = None, likelihood: Likelihood = "bernoulli"
) -> ModelProto:
    return scores_graph(
        SHAPE, d.features, d.texture, d.fused, d.placement, prior=prior, likelihood=likelihood
    )


def _scores_inputs(seed: int, count: int = 5) -> Arrays:
    """As a Bernoulli decoder gives them; a Gaussian one has sigma for the logits."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, *SHAPE))
    decoded = 0.01 + 0.98 * rng.random((count, *SHAPE))
    logits = 3.0 * rng.normal(size=(count, CHANNELS))
    single: Arrays = {
        "x": np.where(x < 0.3, 0.0, x),
        "logits": logits,
        "responsibilities": softmax(logits, axis=1),
        "z": rng.normal(size=(count, LATENT)),
        "z_logvar": rng.normal(size=(count, LATENT)),
        "features": rng.normal(size=(count, FEATURES)),
        "texture_maps": rng.normal(size=(count, TEXTURE)),
        "reconstruction": decoded,
        "reconstruction_logits": logit(decoded),
    }
    cast: Arrays = {name: value.astype(np.float32) for name, value in single.items()}
    return cast | {"channel": rng.integers(0, CHANNELS, count)}


def _gaussian(inputs: Arrays, sigma: NDArray[np.float32]) -> Arrays:
    rest = {name: value for name, value in inputs.items() if name != "reconstruction_logits"}
    return rest | {"sigma": sigma}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_graph_agrees_with_numpy(seed: int) -> None:
    densities = _densities(seed)
    inputs = _scores_inputs(seed)
    served = run_read(_scores_model(densities), inputs)
    wide = {n: v.astype(np.float64) for n, v in inputs.items() if n != "channel"}
    channel = inputs["channel"]
    axes = (1, 2, 3)
    x, decoded = wide["x"], wide["reconstruction"]
    mu, logvar = wide["z"], wide["z_logvar"]
    error = -(xlogy(x, decoded) + xlog1py(1 - x, -decoded)).sum(axis=axes)
    relative = ((x - decoded) ** 2).sum(axis=axes) / np.maximum((x**2).sum(axis=axes), 1.0)
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1.0).sum(axis=1)
    mixed = 0.5 * (1.0 - wide["responsibilities"].max(axis=1)) + 0.5 * relative
    columns = [
        *(error, relative, kl, error + kl, mixed),
        (x**2).sum(axis=axes),
        -logsumexp(wide["logits"], axis=1),
        densities.features.distance(wide["features"], channel),
        densities.texture.distance(wide["texture_maps"], channel),
    ]
    expected = np.column_stack([*columns, np.zeros(len(x))])
    expected[:, -1] = densities.fused.atypicality(expected)
    assert_allclose(served["scores"], expected, rtol=1e-3, atol=1e-4)
    assert_allclose(served["fused"], densities.fused.score(expected), rtol=1e-3, atol=5e-3)
    position = densities.placement.anchor[channel] + mu @ densities.placement.plane
    assert_allclose(served["position"], position, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_another_prior_and_a_gaussian_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = LatentPrior(rng.normal(size=(CHANNELS, LATENT)), rng.normal(size=(CHANNELS, LATENT)))
    densities = _densities(seed)
    inputs = _scores_inputs(seed)
    sigma = rng.uniform(SMALLEST_SIGMA, 0.5, size=inputs["x"].shape).astype(np.float32)
    model = _scores_model(densities, prior, "gaussian")
    served = run_read(model, _gaussian(inputs, sigma))
    channel = inputs["channel"]
    x, decoded = inputs["x"].astype(np.float64), inputs["reconstruction"].astype(np.float64)
    best = norm.logpdf(0.0, scale=SMALLEST_SIGMA)
    error = np.sum(best - norm.logpdf(x, decoded, sigma), axis=(1, 2, 3))
    mu, logvar = (inputs[n].astype(np.float64) for n in ("z", "z_logvar"))
    mean, wide = prior.mean[channel], prior.logvar[channel]
    ratio = (np.exp(logvar) + (mu - mean) ** 2) / np.exp(wide)
    kl = 0.5 * (ratio - 1.0 + wide - logvar).sum(axis=1)
    scores = dict(zip(SCORE_NAMES, served["scores"].T, strict=True))
    assert_allclose(scores["reconstruction_error"], error, rtol=1e-4, atol=1e-4)
    assert_allclose(scores["kl"], kl, rtol=1e-3, atol=1e-4)
    assert_allclose(scores["negative_elbo"], error + kl, rtol=1e-3, atol=1e-3)
    assert min(scores[name].min() for name in SCORE_NAMES if name != "logit_energy") >= 0.0
    fused = densities.fused.score(served["scores"])
    assert_allclose(served["fused"], fused, rtol=1e-3, atol=1e-3)
    position = densities.placement.anchor[channel] + (mu - mean) @ densities.placement.plane
    assert_allclose(served["position"], position, atol=1e-5)


def test_a_perfect_gaussian_decoding_has_no_error() -> None:
    inputs = _scores_inputs(0)
    inputs["reconstruction"] = inputs["x"].clip(1e-6, 0.999999)
    sigma = np.full_like(inputs["x"], SMALLEST_SIGMA)
    model = _scores_model(_densities(0), likelihood="gaussian")
    served = run_read(model, _gaussian(inputs, sigma))
    assert_allclose(served["scores"][:, 0], 0.0, atol=1e-5)
    assert np.isfinite(served["fused"]).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, TEXTURE]))
def test_a_distance_keeps_its_digits_where_variances_differ_a_thousandfold(
    seed: int, axes: int
) -> None:
    """Also in units that differ, far from zero, and with as many axes as values."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(TEXTURE, TEXTURE)))[0]
    means = rng.normal(size=(CHANNELS, TEXTURE))
    covariance = turn @ np.diag([1e-3, 0.1, 1.0]) @ turn.T
    density = feature_density(means, covariance, axes, scale=np.array([0.1, 1.0, 3.0]))
    model = _scores_model(replace(_densities(seed), texture=density))
    inputs = _scores_inputs(seed)
    expected = density.distance(inputs["texture_maps"].astype(np.float64), inputs["channel"])
    served = run_read(model, inputs)["scores"][:, SCORE_NAMES.index("texture")]
    assert_allclose(served, expected, rtol=1e-4)


def test_a_distance_far_away_does_not_overflow() -> None:
    inputs = _scores_inputs(0)
    inputs["features"] = np.full_like(inputs["features"], 1e9)
    fused = run_read(_scores_model(_densities(0)), inputs)["fused"]
    assert np.isfinite(fused).all()
    assert fused.min() > 10.0


def test_scores_stay_finite_where_the_decoder_is_sure_and_wrong() -> None:
    inputs = _scores_inputs(0, count=4)
    white = np.array([0.0, 1.0, 0.0, 1.0], dtype=np.float32).reshape(4, 1, 1, 1)
    inputs["x"] = np.broadcast_to(white, (4, *SHAPE)).astype(np.float32)
    inputs["reconstruction"] = np.broadcast_to(white[::-1], (4, *SHAPE)).astype(np.float32)
    inputs["reconstruction_logits"] = (inputs["reconstruction"] - 0.5) * np.float32(1e4)
    served = run_read(_scores_model(_densities(0)), inputs)
    assert np.isfinite(served["scores"]).all()
    assert np.isfinite(served["fused"]).all()
    assert served["scores"][:, 0].min() > 50.0


def test_score_names_are_the_columns_of_the_graph() -> None:
    served = run_read(_scores_model(_densities(1)), _scores_inputs(1))
    assert served["scores"].shape[1] == len(SCORE_NAMES)
