"""Temperature and floor by leaving one out: against maps made anew, and against the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from rcmvae.label_map import LabelMap, leave_one_out
from tests.rcmvae.random_maps import label_maps
from training.calibrate import tempered
from training.sharpness import FLOORS, TEMPERATURES, LeftOut, Sharpness, fit_sharpness

SHARPNESS = st.builds(Sharpness, st.sampled_from([1.0, 2.5, 8.0]), st.sampled_from([1e-5, 0.02, 1]))


def resembling(label_map: LabelMap, seed: int) -> LabelMap:
    """The map with labels that spread along some resemblance."""
    size = label_map.num_channels
    return replace(label_map, resemblance=np.random.default_rng(seed).random((size, size)))


@given(label_maps(least_examples=1), SHARPNESS, st.none() | st.integers(0, 99))
def test_left_out_probabilities_are_those_of_the_closed_form(
    label_map: LabelMap, sharpness: Sharpness, seed: int | None
) -> None:
    label_map = label_map if seed is None else resembling(label_map, seed)
    floored = replace(label_map, alpha0=sharpness.alpha0)
    expected = leave_one_out(floored, tempered(label_map.contributions, sharpness.temperature))
    left_out = LeftOut.of(label_map)
    assert_allclose(left_out.probabilities(sharpness), expected, atol=1e-6)


def noisy_map(seed: int, wrong: float, examples: int = 400) -> LabelMap:
    """Examples of three labels in six sure channels; a share of them is labelled at random."""
    rng = np.random.default_rng(seed)
    channel = rng.integers(0, 6, examples)
    label = np.where(rng.random(examples) < wrong, rng.integers(0, 3, examples), channel % 3)
    logits = 12.0 * np.eye(6)[channel]
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = tuple(f"train-{i}" for i in range(examples))
    return LabelMap(("a", "b", "c"), rows, label, ids, 0.02)


@given(st.integers(0, 99), st.sampled_from([0.0, 0.05, 0.4]))
@settings(max_examples=10, deadline=None)
def test_no_pair_on_a_grid_is_more_likely(seed: int, wrong: float) -> None:
    label_map = noisy_map(seed, wrong, 60)
    left_out, chosen = LeftOut.of(label_map), fit_sharpness(label_map)
    assert TEMPERATURES[0] <= chosen.temperature <= TEMPERATURES[1] * (1 + 1e-9)
    assert FLOORS[0] * (1 - 1e-9) <= chosen.alpha0 <= FLOORS[1] * (1 + 1e-9)
    grid = [
        left_out.loss(Sharpness(float(t), float(a)))
        for t in np.geomspace(*TEMPERATURES, 9)
        for a in np.geomspace(*FLOORS, 13)
    ]
    assert left_out.loss(chosen) <= min(grid) + 1e-4


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.5])
def test_confidence_of_the_chosen_pair_is_the_share_that_is_right(wrong: float) -> None:
    label_map = noisy_map(1, wrong)
    chosen = fit_sharpness(label_map)
    answers = confidence_of(replace(label_map, alpha0=chosen.alpha0), chosen.temperature)
    channel = label_map.contributions.argmax(axis=1)
    right = (label_map.contribution_labels == channel % 3).mean()
    assert answers.mean() == pytest.approx(right, abs=0.04)


def confidence_of(label_map: LabelMap, temperature: float) -> NDArray[np.float64]:
    confidence: NDArray[np.float64] = (
        tempered(label_map.contributions, temperature) @ label_map.tau
    ).max(axis=1)
    return confidence


def test_a_hundred_right_answers_are_not_certainty() -> None:
    label_map = noisy_map(0, 0.0, 100)
    chosen = fit_sharpness(label_map)
    left_out = LeftOut.of(label_map).probabilities(chosen)
    doubt = 1.0 - left_out[np.arange(100), label_map.contribution_labels].mean()
    assert 0.5 / 101 * 0.3 < doubt < 0.01


def test_of_many_examples_some_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    label_map = noisy_map(0, 0.1, 60)
    whole = LeftOut.of(label_map)
    monkeypatch.setattr("training.sharpness.MOST_ELEMENTS", 20 * 6 * 3)
    some = LeftOut.of(label_map)
    assert_allclose(some.counts, whole.counts[::3])
    assert fit_sharpness(label_map).alpha0 > 0
