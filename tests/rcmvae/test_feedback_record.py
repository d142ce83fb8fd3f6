"""What may go into the store, and how an input is kept as bytes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput, StoreUnavailable
from rcmvae.feedback import Capture, NewFeedback
from rcmvae.feedback.stored_input import (
    COMPRESSED,
    DIVIDED,
    FLOATS,
    MULTIPLIED,
    decode,
    encode,
)
from rcmvae.input_rows import rows_from_array

INPUT = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("value", "actual"),
    [
        (np.zeros((2, 3)), "float64"),
        (np.float32(1) * np.ones(()), "shape"),
        (np.zeros((0, 3), np.float32), r"shape \(0, 3\)"),
        (np.zeros((1, 1, 1, 1, 1), np.float32), "shape"),
        (np.array([np.nan], np.float32), "NaN"),
        (np.array([np.inf], np.float32), "infinity"),
    ],
)
def test_arrays_that_no_model_takes_are_refused(value: NDArray[np.float32], actual: str) -> None:
    value = value if actual == "float64" else np.asarray(value, np.float32)
    with pytest.raises(InvalidInput, match=actual):
        NewFeedback("7", value)
    with pytest.raises(InvalidInput, match=actual):
        Capture("p", value, "v", datetime.now(UTC))


@pytest.mark.parametrize("label", ["", "x" * 65, "a\0b", "\udfff", " 9", "e\u0301"])
def test_labels_that_are_not_spelt_as_they_are_compared_are_refused(label: str) -> None:
    with pytest.raises(InvalidInput, match="label"):
        NewFeedback(label, INPUT)


def test_the_other_names_are_checked_too() -> None:
    with pytest.raises(InvalidInput, match="prediction_id"):
        NewFeedback("7", INPUT, prediction_id="")
    with pytest.raises(InvalidInput, match="bundle_version"):
        NewFeedback("7", INPUT, bundle_version="v" * 129)
    with pytest.raises(InvalidInput, match="created"):
        Capture("p", INPUT, "v", datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=9),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    st.booleans(),
)
def test_every_input_comes_back_bit_for_bit(array: NDArray[np.float32], turned: bool) -> None:
    array = array.T if turned else array
    stored = encode(array)
    back = decode(stored, "f")
    assert back.shape == array.shape
    assert back.dtype == np.float32
    assert back.tobytes() == array.tobytes()
    assert stored.sha256 == hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()


def test_compression_is_used_where_it_pays() -> None:
    digits = np.random.default_rng(0).integers(0, 17, (28, 28)).astype(np.float32) / np.float32(16)
    noise = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    assert encode(digits).encoding == FLOATS + COMPRESSED
    assert len(encode(digits).data) < digits.nbytes / 2
    assert encode(noise).encoding == FLOATS


ANY_BYTES = arrays.arrays(np.uint8, arrays.array_shapes(max_dims=3, max_side=20))


@given(ANY_BYTES, st.booleans())
def test_bytes_stay_bytes_however_they_were_scaled(pixels: NDArray[np.uint8], json: bool) -> None:
    """From JSON, where a client divided in double precision, and as a binary request is scaled."""
    if json:
        x = np.array([k / 255 for k in pixels.ravel().tolist()], np.float32).reshape(pixels.shape)
    else:
        signature = InputSignature(shape=pixels.shape, dtype="float32", low=0.0, high=1.0)
        (x,) = rows_from_array(pixels[None], signature, field="x")
    stored = encode(x)
    assert stored.encoding.removesuffix(COMPRESSED) in {DIVIDED, MULTIPLIED}
    assert len(stored.data) <= pixels.size
    back = decode(stored, "f")
    assert back.tobytes() == x.tobytes()
    assert back.shape == x.shape
    assert stored.sha256 == hashlib.sha256(x.tobytes()).hexdigest()


@pytest.mark.parametrize("value", [-0.0, 1e30, -1.0, 257 / 255, 0.5, 1 - 2**-24])
def test_what_no_byte_gives_stays_a_float(value: float) -> None:
    x = np.array([0, 1, value], np.float32)
    stored = encode(x)
    assert stored.encoding == FLOATS
    assert decode(stored, "f").tobytes() == x.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"shape": "2x4"},
        {"shape": ""},
        {"shape": "-2x3"},
        {"shape": "-1"},
        {"shape": "99999999999999999999x9"},
        {"shape": 3.0},
        {"encoding": "pickle"},
        {"encoding": FLOATS},
        {"encoding": DIVIDED},
        {"encoding": COMPRESSED},
        {"encoding": FLOATS + COMPRESSED},
        {"encoding": 3},
        {"data": b""},
        {"data": None},
        {"data": "text"},
        {"sha256": "0" * 64},
    ],
)
def test_damage_to_a_stored_input_is_named(change: dict[str, object]) -> None:
    stored = encode(np.zeros((16, 24), np.float32))
    assert stored.encoding == DIVIDED + COMPRESSED
    with pytest.raises(StoreUnavailable, match="input of f-12 is damaged"):
        decode(replace(stored, **change), "f-12")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_compressed_bomb_is_not_unpacked(value: float) -> None:
    bomb = encode(np.full(50_000_000 // 4, value, np.float32))
    with pytest.raises(StoreUnavailable, match="damaged"):
        decode(replace(bomb, shape="2x3"), "f")
