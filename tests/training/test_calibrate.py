"""Calibration: the temperature, the densities, and where the conformal samples come from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis

from rcmvae.label_map import LabelMap
from rcmvae.ood import FeatureDensity
from rcmvae.ownership import OWNERSHIP_TEMPERATURE, channel_ownership, ownership_score
from training.calibrate import (
    Judged,
    Ownable,
    calibrate,
    channel_means,
    fit_density,
    fit_temperature,
)
from training.config import CalibrationConfig
from training.data import NO_LABEL
from training.encode import Encoded, softmax

TAU = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
CONFIG = CalibrationConfig(alpha=0.05, probabilities="held_out")
HALF = 0.5
AFFINITY = np.array(
    [
        [4.0, 1.0, 0.0, 0.5, 0.0],
        [1.0, 3.0, 0.2, 0.0, 0.0],
        [0.0, 0.2, 2.0, 0.0, 0.7],
        [0.5, 0.0, 0.0, 1.0, 0.1],
        [0.0, 0.0, 0.7, 0.1, 2.0],
    ]
)


def drawn_labels(
    seed: int, temperature: float, count: int = 400
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits, and labels drawn as if the right temperature were the one given."""
    rng = np.random.default_rng(seed)
    logits = 4.0 * rng.normal(size=(count, 3))
    probability = softmax(logits / temperature) @ TAU
    label = (rng.random(count) > probability[:, 0]).astype(np.int64)
    return logits, label


def loss_at(temperature: float, logits: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    weights = np.exp(logits / temperature)
    probability = (weights / weights.sum(axis=1, keepdims=True)) @ TAU
    return float(-np.log(probability[np.arange(len(label)), label]).mean())


@given(seed=st.integers(0, 999), temperature=st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=15, deadline=None)
def test_temperature_is_no_worse_than_any_on_a_grid(seed: int, temperature: float) -> None:
    logits, label = drawn_labels(seed, temperature)
    fitted = fit_temperature(logits, label, TAU)
    assert 1.0 <= fitted <= 8.0
    best = min(loss_at(t, logits, label) for t in np.geomspace(1.0, 8.0, 200))
    assert loss_at(fitted, logits, label) <= best + 1e-5


def test_temperature_finds_the_one_that_drew_the_labels() -> None:
    for true in (1.5, 3.0):
        assert fit_temperature(*drawn_labels(0, true, 20_000), TAU) == pytest.approx(true, rel=0.2)


def test_temperature_sees_labelled_inputs_alone() -> None:
    logits, label = drawn_labels(1, 2.0)
    fitted = fit_temperature(logits, label, TAU)
    more = np.concatenate([logits, 9 * logits])
    none = np.full_like(label, NO_LABEL)
    assert fit_temperature(more, np.concatenate([label, none]), TAU) == pytest.approx(fitted)
    assert fit_temperature(logits, none, TAU) == 1.0


def encoded(seed: int, count: int = 300) -> Encoded:
    """Features around one centre per channel; the last channel of four is never the best."""
    rng = np.random.default_rng(seed)
    channel = rng.integers(0, 3, count)
    logits = np.eye(4, dtype=np.float32)[channel] * 5
    spread = rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6))
    features = (spread + 10 * np.eye(4, 6)[channel]).astype(np.float32)
    mu = rng.normal(size=(count, 4, 2)).astype(np.float32)
    return Encoded(logits, mu, np.zeros_like(mu), features, features)


def density_of(stream: Encoded) -> FeatureDensity:
    return fit_density(stream.features, stream.channel, 4, axes=6)


def test_channel_means_fall_back_to_the_overall_mean() -> None:
    stream = encoded(0)
    means = channel_means(stream.features, stream.channel, 4)
    own = stream.features[stream.channel == 1].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(means[1], own)
    np.testing.assert_allclose(means[3], stream.features.astype(np.float64).mean(axis=0))


def test_feature_density_is_the_mahalanobis_distance_of_scipy() -> None:
    stream = encoded(0, 5000)
    density = density_of(stream)
    residual = stream.features - density.means[stream.channel]
    inverse = np.linalg.inv(np.cov(residual, rowvar=False, bias=True))
    expected = [mahalanobis(r, np.zeros(6), inverse) ** 2 for r in residual[:20]]
    actual = density.distance(stream.features[:20], stream.channel[:20])
    # Shrinkage and floor are small with 5000 inputs, and not nothing.
    np.testing.assert_allclose(actual, expected, rtol=0.15)


def test_feature_density_survives_features_that_never_vary() -> None:
    stream = encoded(0)
    still = replace(stream, features=stream.features * np.array([1, 1, 1, 0, 0, 0], np.float32))
    density = density_of(still)
    strange = still.features[:5] + np.array([0, 0, 0, 1, 1, 1], np.float32)
    far = density.distance(strange, still.channel[:5])
    assert np.isfinite(far).all()
    assert (far > density.distance(still.features[:5], still.channel[:5])).all()


def a_map(seed: int = 0, labels: tuple[str, ...] = ("a", "b"), per_label: int = 4) -> LabelMap:
    rng = np.random.default_rng(seed)
    columns = np.repeat(np.arange(len(labels)), per_label)
    return LabelMap(
        labels=labels,
        contributions=softmax(3 * rng.normal(size=(len(columns), 5))),
        contribution_labels=columns,
        ids=tuple(f"train-{i}" for i in range(len(columns))),
        alpha0=0.1,
    )


def ownable(label_map: LabelMap) -> Ownable:
    return Ownable(label_map, AFFINITY, HALF)


def judged(labels: int, count: int = 30, unlabelled: int = 6) -> Judged:
    rng = np.random.default_rng(9)
    label = np.arange(count) % labels
    label[count - unlabelled :] = NO_LABEL
    fresh = np.ones(count, dtype=np.bool_)
    return Judged(3 * rng.normal(size=(count, 5)), label, rng.random(count), fresh)


def test_held_out_samples_are_the_scores_of_held_out_inputs() -> None:
    label_map, inputs = a_map(), judged(2)
    calibration = calibrate(inputs, ownable(label_map), 2.0, CONFIG)
    assert calibration.owned_source == "held_out"
    assert (calibration.alpha, calibration.temperature) == (0.05, 2.0)
    np.testing.assert_allclose(calibration.fused, np.sort(inputs.fused), err_msg="labels or not")
    soft = softmax(inputs.logits[:24] / OWNERSHIP_TEMPERATURE)
    ownership = channel_ownership(AFFINITY, label_map.evidence, HALF)
    np.testing.assert_allclose(calibration.owned, np.sort(ownership_score(soft, ownership)))
    r = softmax(inputs.logits[:24] / 2.0)
    probability = (r @ label_map.tau)[np.arange(24), inputs.label[:24]]
    np.testing.assert_allclose(calibration.label_set, np.sort(1.0 - probability))
    assert calibration.label_set_labels == tuple(inputs.label[:24][np.argsort(1.0 - probability)])


def brute_leave_one_out(label_map: LabelMap, temperature: float) -> list[tuple[float, float]]:
    """Ownership and label-set score of every example, the map made anew without it."""
    scores = []
    for i, column in enumerate(label_map.contribution_labels):
        counts = np.zeros((5, len(label_map.labels)))
        for j, (row, other) in enumerate(
            zip(label_map.contributions, label_map.contribution_labels, strict=True)
        ):
            if j != i:
                counts[:, other] += row
        tau = (counts + label_map.alpha0) / (counts + label_map.alpha0).sum(axis=1, keepdims=True)
        r = softmax(np.log(label_map.contributions[i : i + 1]) / temperature)
        soft = softmax(np.log(label_map.contributions[i : i + 1]) / OWNERSHIP_TEMPERATURE)
        ownership = channel_ownership(AFFINITY, counts.sum(axis=1), HALF)
        unowned = float(ownership_score(soft, ownership)[0])
        scores.append((unowned, float(1.0 - (r @ tau)[0, column])))
    return scores


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_leave_one_out_samples_are_those_of_maps_made_anew(temperature: float) -> None:
    label_map = a_map()
    config = replace(CONFIG, owned_source="leave_one_out")
    calibration = calibrate(judged(2), ownable(label_map), temperature, config)
    assert calibration.owned_source == "leave_one_out"
    expected = np.sort(np.array(brute_leave_one_out(label_map, temperature)), axis=0)
    np.testing.assert_allclose(calibration.owned, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(calibration.label_set, expected[:, 1], atol=1e-9)


def test_without_any_held_out_label_it_falls_back_and_says_so() -> None:
    label_map = a_map()
    unlabelled = judged(2, unlabelled=30)
    calibration = calibrate(unlabelled, ownable(label_map), 1.0, CONFIG)
    assert calibration.owned_source == "leave_one_out"
    assert len(calibration.owned) == len(label_map.ids)
    assert len(calibration.fused) == 30


def test_a_label_without_held_out_inputs_joins_by_leaving_one_out() -> None:
    label_map = a_map(labels=("a", "b", "new"))
    calibration = calibrate(judged(2), ownable(label_map), 1.0, CONFIG)
    joined = np.array(brute_leave_one_out(label_map, 1.0))[8:]
    assert len(calibration.owned) == len(calibration.label_set) == 24 + 4
    for sample, column in ((calibration.owned, 0), (calibration.label_set, 1)):
        for score in joined[:, column]:
            assert np.isclose(sample, score, atol=1e-9).any()


def test_only_question_2_uses_inputs_that_something_was_fitted_on() -> None:
    inputs = judged(2)
    fitted = replace(inputs, fresh=np.arange(30) >= 10)
    calibration = calibrate(fitted, ownable(a_map()), 1.0, CONFIG)
    np.testing.assert_allclose(calibration.fused, np.sort(inputs.fused[10:]))
    assert len(calibration.label_set) == 24 - 10
    assert calibration.owned == calibrate(inputs, ownable(a_map()), 1.0, CONFIG).owned


def test_sets_use_every_held_out_label_where_none_chose_the_temperature() -> None:
    inputs = replace(judged(2), fresh=np.arange(30) >= 10)
    config = replace(CONFIG, probabilities="leave_one_out", coverage="class_conditional")
    calibration = calibrate(inputs, ownable(a_map()), 1.0, config)
    assert len(calibration.label_set) == 24
    assert (calibration.coverage, calibration.probability_source) == (
        "class_conditional",
        "leave_one_out",
    )


def test_ownership_of_a_lone_example_without_itself_is_none() -> None:
    lone = ownable(a_map(labels=("a",), per_label=1))
    np.testing.assert_allclose(lone.score_left_out(np.array([0])), 1.0)


def test_a_label_without_held_out_inputs_makes_the_source_mixed() -> None:
    assert calibrate(judged(2), ownable(a_map()), 1.0, CONFIG).owned_source == "held_out"
    three = ownable(a_map(labels=("a", "b", "new")))
    assert calibrate(judged(2), three, 1.0, CONFIG).owned_source == "mixed"
