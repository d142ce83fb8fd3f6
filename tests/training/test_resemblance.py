"""What looks alike lies in which channels, against scikit-learn's neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from sklearn.neighbors import NearestNeighbors

from training.encode import Encoded
from training.resemblance import (
    NEIGHBOURS,
    channel_resemblance,
    nearest_channels,
    shared_doubt,
)


def encoded(logits: NDArray[np.float32]) -> Encoded:
    empty = np.zeros((*logits.shape, 1), np.float32)
    return Encoded(logits, empty, empty, np.zeros((len(logits), 2), np.float32))


@pytest.mark.parametrize("shape", [(5,), (1, 3, 2)])
@given(st.integers(0, 2**31))
def test_rows_are_the_neighbours_of_a_library(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((60, *shape), dtype=np.float32)
    found = encoded(rng.normal(size=(60, 4)).astype(np.float32))
    r, channel = found.responsibilities(), found.channel
    metric = "euclidean" if len(shape) == 1 else "cosine"
    expected = np.zeros((4, 4))
    for k in range(4):
        others = channel != k
        search = NearestNeighbors(n_neighbors=NEIGHBOURS, metric=metric, algorithm="brute")
        search.fit(x[others].reshape(others.sum(), -1))
        nearest = search.kneighbors(x[~others].reshape((~others).sum(), -1), return_distance=False)
        expected[k] = r[others][nearest].mean(axis=(0, 1))
        expected[k, k] = 0.0
    np.testing.assert_allclose(nearest_channels(x, found), expected, atol=1e-6)


def test_a_style_resembles_the_channel_that_looks_like_it_whatever_the_encoder_says() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [9.0, 9.0], [0.5, 0.5]])
    channel = np.repeat([0, 1, 2], 30)
    x = (centres[channel] + 0.1 * rng.normal(size=(90, 2))).astype(np.float32)
    logits = np.where(np.eye(3)[channel] > 0, 9.0, [[0.0, 3.0, 0.0]]).astype(np.float32)
    resemblance = nearest_channels(x, encoded(logits))
    assert resemblance[2, 0] > 0.9
    assert resemblance[2, 1] < 0.1


def test_channels_without_inputs_and_a_lonely_channel_resemble_nothing() -> None:
    logits = np.tile(np.array([[5.0, 0.0, 0.0]], np.float32), (8, 1))
    alone = nearest_channels(np.ones((8, 3), np.float32), encoded(logits))
    assert not alone.any()


def test_black_images_are_no_division_by_zero() -> None:
    x = np.zeros((20, 1, 2, 2), np.float32)
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert np.isfinite(channel_resemblance(x, encoded(logits))).all()


@given(st.integers(0, 2**31))
def test_shared_doubt_is_the_mean_product_of_softened_responsibilities(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(scale=4.0, size=(30, 5)).astype(np.float32)
    r = special.softmax(logits.astype(np.float64) / 3.0, axis=1)
    expected = np.mean([np.outer(row, row) for row in r], axis=0)
    shared = shared_doubt(encoded(logits))
    np.testing.assert_allclose(shared, expected - np.diag(np.diag(expected)), atol=1e-9)


@given(st.integers(0, 2**31))
def test_both_have_an_equal_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, found = rng.random((40, 3), dtype=np.float32), rng.normal(size=(40, 4)).astype(np.float32)
    near, doubt = nearest_channels(x, encoded(found)), shared_doubt(encoded(found))
    both = channel_resemblance(x, encoded(found))
    used = near.any(axis=1)
    np.testing.assert_allclose(both[used].sum(axis=1), 1.0)
    expected = (near / near.sum(axis=1, keepdims=True) + doubt / doubt.sum(axis=1, keepdims=True))[
        used
    ]
    np.testing.assert_allclose(both[used], expected / 2.0, atol=1e-12)
    assert not np.diag(both).any()
