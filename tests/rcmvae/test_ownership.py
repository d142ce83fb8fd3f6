"""Question 2: is an input owned by channels that labels speak for? All tests of its scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import softmax

from rcmvae.calibration import Calibration, PValues, ascending
from rcmvae.label_map import LabelMap, responsibility_score
from rcmvae.ood import SCORE_NAMES
from rcmvae.ownership import (
    OWNERSHIP_TEMPERATURE,
    channel_ownership,
    ownership_score,
)
from rcmvae.tau_graph import tau_graph
from rcmvae.walk import SURVIVAL
from tests.rcmvae.random_maps import label_maps, random_map
from tests.rcmvae.served_run import run_graph

HALF = 0.5
A_VISIT = HALF / (1.0 - SURVIVAL)


def random_affinity(seed: int, channels: int) -> NDArray[np.float64]:
    half = np.random.default_rng(seed).gamma(0.3, size=(channels, channels))
    return half + half.T


@given(label_maps(), st.integers(0, 2**32 - 1))
def test_responsibility_score_by_its_definition(label_map: LabelMap, seed: int) -> None:
    r = np.random.default_rng(seed).dirichlet(np.ones(label_map.num_channels), 3)
    tau = label_map.tau
    expected = [1.0 - max(row[k] * max(tau[k]) for k in range(label_map.num_channels)) for row in r]
    score = responsibility_score(r, tau)
    assert_allclose(score, expected, atol=1e-12)
    assert 0.0 <= score.min() <= score.max() < 1.0


@settings(max_examples=30)
@given(label_maps(), st.integers(0, 2**32 - 1))
def test_ownership_is_the_sum_over_all_walks(label_map: LabelMap, seed: int) -> None:
    """The closed form against the walk itself, step by step until hardly any is alive."""
    evidence = label_map.evidence
    affinity = random_affinity(seed, len(evidence))
    step = affinity / affinity.sum(axis=1, keepdims=True)
    stop = evidence / (evidence + A_VISIT)
    alive, expected = np.eye(len(evidence)), np.zeros(len(evidence))
    for _ in range(400):
        expected += alive @ stop
        alive = SURVIVAL * (alive * (1.0 - stop)) @ step
    ownership = channel_ownership(affinity, evidence, HALF)
    assert_allclose(ownership, expected, atol=1e-9)
    assert 0.0 <= ownership.min() <= ownership.max() <= 1.0


def test_ownership_is_the_share_of_simulated_walks_that_stop() -> None:
    rng = np.random.default_rng(0)
    affinity, evidence = random_affinity(1, 5), np.array([3.0, 0.0, 0.2, 0.0, 0.0])
    step = affinity / affinity.sum(axis=1, keepdims=True)
    stopped, walks = 0, 4000
    for _ in range(walks):
        channel = 1
        while True:
            if rng.random() < evidence[channel] / (evidence[channel] + A_VISIT):
                stopped += 1
                break
            if rng.random() > SURVIVAL:
                break
            channel = int(rng.choice(5, p=step[channel]))
    expected = channel_ownership(affinity, evidence, HALF)[1]
    sd = np.sqrt(expected * (1 - expected) / walks)
    assert stopped / walks == pytest.approx(expected, abs=5 * sd)


def test_without_any_label_nothing_is_owned() -> None:
    assert_allclose(channel_ownership(random_affinity(0, 4), np.zeros(4), HALF), 0.0)


def test_a_rare_style_is_owned_by_its_neighbours_and_a_new_class_is_not() -> None:
    """Channel 1 has no label and lies beside labelled 0; channels 2 and 3 lie by themselves."""
    affinity = np.array(
        [[5.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.01, 3.0, 1.0], [0.0, 0.0, 1.0, 3.0]]
    )
    rare, new, *_ = channel_ownership(affinity, np.array([9.0, 0.0, 0.0, 0.0]), HALF)[1:]
    assert rare > 0.7
    assert new < 0.1


@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.floats(0.01, 10.0))
def test_more_evidence_anywhere_never_lowers_ownership(seed: int, at: int, more: float) -> None:
    rng = np.random.default_rng(seed)
    affinity, evidence = random_affinity(seed, 5), rng.gamma(0.5, size=5)
    before = channel_ownership(affinity, evidence, HALF)
    after = channel_ownership(affinity, evidence + more * np.eye(5)[at], HALF)
    assert (after >= before - 1e-12).all()
    assert after[at] > before[at] or before[at] > 1.0 - 1e-9


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_channels_has_no_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affinity, evidence, order = random_affinity(seed, 6), rng.gamma(0.5, size=6), rng.permutation(6)
    shuffled = channel_ownership(affinity[np.ix_(order, order)], evidence[order], HALF)
    assert_allclose(shuffled, channel_ownership(affinity, evidence, HALF)[order], atol=1e-12)


@given(st.floats(0.0, 100.0), st.floats(0.01, 10.0), st.sampled_from([0.0, 1.0, 7.0]))
def test_a_channel_by_itself_has_its_own_evidence_however_long_the_walk_stays(
    evidence: float, half: float, affinity: float
) -> None:
    """Also one that nothing uses, at an affinity of zero."""
    owned = channel_ownership(np.array([[affinity]]), np.array([evidence]), half)
    assert_allclose(owned, evidence / (evidence + half), atol=1e-9)


@settings(max_examples=15)
@given(label_maps(), st.sampled_from([0.3, 10.0, 1e4]), st.sampled_from([0.5, 2.0]))
def test_the_graph_agrees(label_map: LabelMap, scale: float, temperature: float) -> None:
    rng = np.random.default_rng(0)
    channels = label_map.num_channels
    logits = (scale * rng.normal(size=(6, channels))).astype(np.float32)
    ownership = channel_ownership(random_affinity(1, channels), label_map.evidence, HALF)
    served = run_graph(tau_graph(label_map, temperature, ownership), logits=logits)
    r = softmax(logits.astype(np.float64) / temperature, axis=1)
    soft = softmax(logits.astype(np.float64) / OWNERSHIP_TEMPERATURE, axis=1)
    assert_allclose(served["responsibility"], responsibility_score(r, label_map.tau), atol=1e-6)
    assert_allclose(served["unowned"], ownership_score(soft, ownership), atol=1e-6)


def test_inputs_that_share_one_score_are_not_strange_for_a_rounding() -> None:
    """The sample is in float64, the graph in float32; where routing saturates all are equal."""
    label_map = random_map(2, examples=9)
    ownership = channel_ownership(random_affinity(2, 4), label_map.evidence, HALF)
    logits = np.random.default_rng(0).normal(90.0, 2.0, size=(200, 1)) * np.eye(4)[[1]]
    served = run_graph(tau_graph(label_map, 1.0, ownership), logits=logits.astype(np.float32))
    soft = softmax(logits / OWNERSHIP_TEMPERATURE, axis=1)
    calibration = Calibration(
        temperature=1.0,
        alpha0=0.05,
        alpha=0.01,
        free_mass=0.5,
        score_names=SCORE_NAMES,
        owned_source="held_out",
        fused=(0.0,),
        owned=ascending(ownership_score(soft, ownership)),
        label_set=(0.0,),
    )
    assert PValues(calibration).owned(served["unowned"]).min() > 0.9
