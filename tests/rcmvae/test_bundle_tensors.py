"""Arrays come back with the values, shape and type they had, whatever their memory layout."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import read_arrays, read_metadata, write_tensors

GRID = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "array",
    [GRID, GRID.T, GRID[:, ::-1], GRID[:, 1], np.float64(3.0), np.zeros((0, 4)), np.ones(3, bool)],
)
def test_any_layout_comes_back(array: NDArray[np.float64]) -> None:
    loaded = read_arrays("a.safetensors", write_tensors({"a": array}))["a"]
    np.testing.assert_array_equal(loaded, array)
    assert (loaded.shape, loaded.dtype) == (array.shape, array.dtype)


def test_metadata_comes_back() -> None:
    content = write_tensors({"a": GRID}, {"ids": '["é"]'})
    assert read_metadata("a.safetensors", content) == {"ids": '["é"]'}
