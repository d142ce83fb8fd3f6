"""Question 2: is an input owned by channels that labels speak for? All tests of its score."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import softmax

from rcmvae.calibration import Calibration, PValues, ascending
from rcmvae.graph import tau_graph
from rcmvae.label_map import LabelMap, ownership_score
from rcmvae.ood import SCORE_NAMES
from tests.rcmvae.random_maps import label_maps, random_map
from tests.rcmvae.served_run import run_graph


@given(label_maps(), st.integers(0, 2**32 - 1))
def test_score_by_its_definition(label_map: LabelMap, seed: int) -> None:
    r = np.random.default_rng(seed).dirichlet(np.ones(label_map.num_channels), 3)
    tau = label_map.tau
    expected = [1.0 - max(row[k] * max(tau[k]) for k in range(label_map.num_channels)) for row in r]
    score = ownership_score(r, tau)
    assert_allclose(score, expected, atol=1e-12)
    assert 0.0 <= score.min() <= score.max() < 1.0


def test_labels_take_over_a_channel() -> None:
    """The more examples of a label, the more its channel is owned; the others stay."""
    label_map, r = random_map(0, examples=0), np.eye(4)
    scores = [ownership_score(r, label_map.tau)]
    for i in range(4):
        label_map = label_map.add(np.eye(4)[:1], ["label-1"], [f"feedback-{i}"])
        scores.append(ownership_score(r, label_map.tau))
    assert np.all(np.diff([score[0] for score in scores]) < 0)
    assert_allclose([score[1:] for score in scores], 2.0 / 3.0)


@settings(max_examples=15)
@given(label_maps(), st.sampled_from([0.3, 10.0, 1e4]), st.sampled_from([0.5, 2.0]))
def test_the_graph_agrees(label_map: LabelMap, scale: float, temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = (scale * rng.normal(size=(6, label_map.num_channels))).astype(np.float32)
    served = run_graph(tau_graph(label_map, temperature), logits=logits)["responsibility"]
    r = softmax(logits.astype(np.float64) / temperature, axis=1)
    assert_allclose(served, ownership_score(r, label_map.tau), atol=1e-6)


def test_inputs_that_share_one_score_are_not_strange_for_a_rounding() -> None:
    """The sample is in float64, the graph in float32; where routing saturates all are equal."""
    label_map = random_map(2, examples=9)
    logits = np.random.default_rng(0).normal(30.0, 2.0, size=(200, 1)) * np.eye(4)[[1]]
    graph = tau_graph(label_map, 1.0)
    served = run_graph(graph, logits=logits.astype(np.float32))["responsibility"]
    sample = ascending(ownership_score(softmax(logits, axis=1), label_map.tau))
    calibration = Calibration(
        temperature=1.0,
        alpha0=0.05,
        alpha=0.01,
        free_mass=0.5,
        score_names=SCORE_NAMES,
        owned_source="held_out",
        fused=(0.0,),
        owned=sample,
        label_set=(0.0,),
    )
    assert PValues(calibration).owned(served).min() > 0.9
