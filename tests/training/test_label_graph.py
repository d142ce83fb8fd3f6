"""Labels spread over inputs, against the closed form of an absorbing walk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from training.label_graph import NEIGHBOURS, SURVIVAL, graph_labels


def absorbed(
    x: NDArray[np.float32], labelled: NDArray[np.float32], y: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64]:
    """N R of Kemeny and Snell: the fundamental matrix times the chances to stop."""
    points, known = np.concatenate([labelled, x]), len(labelled)
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(points)
    near = search.kneighbors_graph().toarray()
    near = np.maximum(near, near.T)
    step = SURVIVAL * near / near.sum(axis=1, keepdims=True)
    inner, stopping = step[known:, known:], step[known:, :known]
    fundamental = np.linalg.inv(np.eye(len(x)) - inner)
    return np.asarray(fundamental @ stopping @ np.eye(num_labels)[y])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_targets_are_the_chances_of_an_absorbing_chain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((40, 3), dtype=np.float32)
    labelled, y = rng.random((5, 3), dtype=np.float32), rng.integers(0, 4, 5)
    found = graph_labels(x, labelled, y, 4)
    assert found.dtype == np.float32
    # What is alive after the last step is missing.
    np.testing.assert_allclose(found, absorbed(x, labelled, y, 4), atol=1e-4)
    assert (found >= 0.0).all()
    assert (found.sum(axis=1) <= SURVIVAL + 1e-6).all()


def test_labels_stay_in_their_cluster_and_none_reaches_one_without_a_label() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]), 20, axis=0)
    x = (centres + rng.normal(size=centres.shape)).astype(np.float32)
    found = graph_labels(x, x[[0, 20]], np.array([1, 0]), 2)
    assert (found[:20].argmax(axis=1) == 1).all()
    assert (found[20:40].argmax(axis=1) == 0).all()
    assert not found[40:].any()


def test_images_are_compared_by_angle() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((30, 1, 4, 4), dtype=np.float32)
    fainter = (x * rng.uniform(0.2, 1.0, (30, 1, 1, 1))).astype(np.float32)
    y = np.array([0, 1])
    bright, faint = (graph_labels(images, x[:2], y, 2) for images in (x, fainter))
    np.testing.assert_allclose(bright, faint, atol=1e-5)


def test_inputs_beyond_the_graph_get_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.label_graph.MOST_INPUTS", 20)
    x = np.random.default_rng(2).random((30, 2), dtype=np.float32)
    y = np.array([0, 1])
    found = graph_labels(x, x[:2], y, 2)
    np.testing.assert_array_equal(found[:20], graph_labels(x[:20], x[:2], y, 2))
    assert found.shape == (30, 2)
    assert not found[20:].any()
