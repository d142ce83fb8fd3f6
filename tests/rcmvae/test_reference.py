"""Reference points of a bundle: what is kept of an input, and which files are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rcmvae.bundle import (
    Bundle,
    InputSignature,
    load_bundle,
    publish_bundle,
    read_arrays,
    write_tensors,
)
from rcmvae.bundle.manifest import LATENT_MAP
from rcmvae.errors import BundleDamaged
from rcmvae.input_rows import rows_from_bytes
from rcmvae.predictor import Predictor
from rcmvae.reference import pack, read_reference_points, unpack
from tests.service.small_bundle import PROTOTYPES, small_draft

IMAGE = InputSignature(shape=(1, 2, 3), low=-1.0, high=3.0)


def bundle_with(folder: Path, **changes: NDArray[Any] | None) -> Bundle:
    """The small bundle with other tensors; None takes one away."""
    draft = small_draft("v1")
    arrays = dict(read_arrays(LATENT_MAP, draft.contents[LATENT_MAP])) | changes
    kept = {name: array for name, array in arrays.items() if array is not None}
    contents = {**draft.contents, LATENT_MAP: write_tensors(kept)}
    publish_bundle(folder, replace(draft, contents=contents), expected_parent=None)
    return load_bundle(folder / "v1")


@given(hnp.arrays(np.float32, (3, 1, 2, 3), elements=st.floats(-1, 3, width=32)))
def test_an_image_comes_back_within_half_a_byte(x: NDArray[np.float32]) -> None:
    back = unpack(pack(x, IMAGE), IMAGE)
    assert back.dtype == np.float32
    assert np.abs(back - x).max() <= 4.0 / 510.0 + 1e-6
    assert back.min() >= -1.0
    assert back.max() <= 3.0


@given(hnp.arrays(np.uint8, (2, 1, 2, 3)))
def test_bytes_are_the_input_that_a_client_would_send(x: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(unpack(x, IMAGE), rows_from_bytes(x.tobytes(), "uint8", IMAGE))
    np.testing.assert_array_equal(pack(unpack(x, IMAGE), IMAGE), x)


def test_vectors_are_kept_as_they_are() -> None:
    signature = InputSignature(shape=(4,), low=-1e6, high=1e6)
    x = np.array([[0.1, -3.0, 1e5, 7.25]], dtype=np.float32)
    np.testing.assert_array_equal(unpack(pack(x, signature), signature), x)


def test_points_are_what_the_predictor_answers(tmp_path: Path) -> None:
    bundle = bundle_with(tmp_path)
    points = read_reference_points(bundle)
    assert points is not None
    assert len(points) == 3
    assert points.packed is not None
    x = unpack(points.packed, bundle.manifest.input)
    np.testing.assert_array_equal(x.reshape(3, -1), PROTOTYPES)
    batch = Predictor.open(bundle).predict(x)
    np.testing.assert_allclose(points.position, batch.position, atol=1e-5)
    np.testing.assert_array_equal(points.channel, batch.channel)


def test_an_older_bundle_has_numbers_by_row_and_its_sample_for_usage(tmp_path: Path) -> None:
    points = read_reference_points(bundle_with(tmp_path, number=None, usage=None, x=None))
    assert points is not None
    assert points.number.tolist() == [0, 1, 2]
    np.testing.assert_allclose(points.usage, [1 / 3, 1 / 3, 1 / 3])
    assert points.packed is None


def test_the_oldest_form_has_none(tmp_path: Path) -> None:
    assert read_reference_points(bundle_with(tmp_path, logits=None)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", np.array([1, 1, 2])),
        ("number", np.array([-1, 1, 2])),
        ("label", np.array([0, 2, -1])),
        ("label", np.array([0, -2, -1])),
        ("channel", np.array([0, 1, 3])),
        ("position", np.zeros((3, 3), dtype=np.float32)),
        ("position", np.full((3, 2), np.nan, dtype=np.float32)),
        ("fused", np.zeros(2, dtype=np.float32)),
        ("usage", np.ones(4)),
        ("x", np.zeros((3, 2, 3), dtype=np.float32)),
        ("unowned", None),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, name: str, value: NDArray[Any] | None
) -> None:
    bundle = bundle_with(tmp_path, **{name: value})
    with pytest.raises(BundleDamaged, match=name):
        read_reference_points(bundle)
