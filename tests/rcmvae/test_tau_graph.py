"""The graph of the label map against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.special import softmax

from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.tau_graph import tau_graph
from rcmvae.uncertainty import decompose
from tests.rcmvae.random_maps import label_maps, random_map
from tests.rcmvae.served_run import run_graph

PARTS = ("total", "aleatoric", "channel_ambiguity", "label_map_ignorance")


def _logits(label_map: LabelMap, scale: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=(6, label_map.num_channels))).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    label_maps(),
    st.sampled_from([0.0, 1.0, 30.0, 1e4, 1e30]),
    st.sampled_from([0.125, 1.0, 8.0]),
)
def test_label_map_graph_agrees_with_the_reference(
    label_map: LabelMap, scale: float, temperature: float
) -> None:
    logits = _logits(label_map, scale)
    ownership = np.linspace(0.0, 1.0, label_map.num_channels)
    served = run_graph(tau_graph(label_map, temperature, ownership), logits=logits)
    r = softmax(logits.astype(np.float64) / temperature, axis=1)
    split = decompose(r, label_map.tau, expected_entropy(label_map.counts, label_map.alpha0))
    assert_allclose(served["responsibilities"], r, atol=1e-6)
    assert_allclose(served["probabilities"], r @ label_map.tau, atol=1e-6)
    assert_array_equal(served["channel"], logits.argmax(axis=1))
    for name in PARTS:
        assert_allclose(served[name], getattr(split, name), atol=2e-6)


@pytest.mark.parametrize("labels", [1, 2, 10, 1000])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_served_parts_sum_to_the_served_total(labels: int, scale: float) -> None:
    """Also where a thousand labels make float32 lose more than the bound in one sum."""
    label_map = random_map(0, channels=40, labels=labels, examples=50, alpha0=0.01)
    graph = tau_graph(label_map, 1.3, np.zeros(40))
    served = run_graph(graph, logits=_logits(label_map, scale))
    total, *parts = (served[name].astype(np.float64) for name in PARTS)
    assert_allclose(sum(parts), total, atol=1e-6)
    assert min(part.min() for part in parts) >= 0.0
