"""From lists and bytes to float32 inputs, and every way not to get there."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from rcmvae.input_rows import row_from_nested, rows_from_bytes, rows_from_nested

SHAPES = [(4,), (2, 3), (1, 2, 3), (2, 1, 2, 2)]
signatures = st.builds(
    lambda shape, low, width: InputSignature(shape=shape, low=low, high=low + width),
    st.sampled_from(SHAPES),
    st.sampled_from([0.0, -1.0, 0.1]),
    st.sampled_from([1.0, 2.0, 0.7]),
)


@st.composite
def batches(draw: st.DrawFn) -> tuple[InputSignature, NDArray[np.float32]]:
    signature = draw(signatures)
    low, high = np.float32(signature.low), np.float32(signature.high)
    values = st.floats(float(low), float(high), width=32)
    rows = draw(st.integers(1, 4))
    return signature, draw(hnp.arrays(np.float32, (rows, *signature.shape), elements=values))


@given(batches())
def test_what_json_and_bytes_carry_comes_back(
    case: tuple[InputSignature, NDArray[np.float32]],
) -> None:
    signature, x = case
    nested = rows_from_nested(json.loads(json.dumps(x.tolist())), signature)
    flat = rows_from_nested(json.loads(json.dumps(x.reshape(len(x), -1).tolist())), signature)
    octets = rows_from_bytes(x.astype("<f4").tobytes(), "float32", signature)
    for read in (nested, flat, octets):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, x, strict=True)


@given(signatures, st.binary(min_size=1, max_size=4))
def test_uint8_spans_the_range(signature: InputSignature, values: bytes) -> None:
    body = bytes(values[i % len(values)] for i in range(signature.size))
    x = rows_from_bytes(body, "uint8", signature)
    width = signature.high - signature.low
    expected = [signature.low + value / 255 * width for value in body]
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-6)
    # Whatever rounding does, the result is one that the service itself would accept.
    rows_from_bytes(x.astype("<f4").tobytes(), "float32", signature)


def test_result_does_not_alias_the_body() -> None:
    signature = InputSignature(shape=(1,))
    assert rows_from_bytes(b"\0\0\0\0", "float32", signature).flags.writeable


@given(signatures, st.recursive(st.none() | st.floats() | st.integers(), st.lists, max_leaves=8))
def test_anything_else_is_an_invalid_input(signature: InputSignature, row: object) -> None:
    """Floats that happen to fit are read; everything else is refused, and nothing else raised."""
    with suppress(InvalidInput):
        x = rows_from_nested([row], signature)
        assert x.shape == (1, *signature.shape)
        assert np.isfinite(x).all()


@pytest.mark.parametrize(
    ("row", "field", "actual"),
    [
        ([1, 2, 3], "inputs[1]", "a list of 3"),
        ([[1, 0], [0, 1], [1, 1]], "inputs[1]", "a list of 3"),
        ([[0, 0, 0], [0, 0]], "inputs[1][1]", "a list of 2"),
        ([[0, 0, 0], "abc"], "inputs[1][1]", "a string"),
        ({"a": 1}, "inputs[1]", "an object"),
        ([0, 0, 0, True, 0, 0], "inputs[1]", "a boolean at value 3"),
        ([0, 0, None, 0, 0, 0], "inputs[1]", "null at value 2"),
        ([0, 0, 0, 0, 0, float("nan")], "inputs[1]", "nan at value 5"),
        ([0, 0, 0, float("inf"), 0, 0], "inputs[1]", "inf at value 3"),
        ([0, 1.5, 0, 0, 0, 0], "inputs[1]", "1.5 at value 1"),
        ([0, -0.5, 0, 0, 0, 0], "inputs[1]", "-0.5 at value 1"),
    ],
)
def test_error_names_row_and_value(row: object, field: str, actual: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rows_from_nested([[0] * 6, row], InputSignature(shape=(2, 3)))
    assert (refused.value.field, refused.value.actual) == (field, actual)


@pytest.mark.parametrize("other", ["0.5", "", None, {}, {"a": 1}, [], [0.5]])
def test_only_booleans_need_looking_for(other: object) -> None:
    """What a text without booleans can hold is refused with and without that."""
    for may_hold_booleans in (True, False):
        with pytest.raises(InvalidInput) as refused:
            rows_from_nested(
                [[0, 0.5], [1, other]],
                InputSignature(shape=(2,)),
                may_hold_booleans=may_hold_booleans,
            )
        assert refused.value.field == "inputs[1]"


def test_integer_too_large_for_a_float() -> None:
    with pytest.raises(InvalidInput, match="a larger integer"):
        rows_from_nested([[10**400]], InputSignature(shape=(1,)))


def test_no_rows() -> None:
    with pytest.raises(InvalidInput, match="at least one row"):
        rows_from_nested([], InputSignature(shape=(1,)))


def test_one_row_takes_the_callers_name() -> None:
    signature = InputSignature(shape=(2,))
    assert row_from_nested([0, 1], signature, field="items[4].input").shape == (2,)
    with pytest.raises(InvalidInput) as refused:
        row_from_nested([0, 2], signature, field="items[4].input")
    assert refused.value.field == "items[4].input"


@pytest.mark.parametrize(
    ("body", "dtype", "field"),
    [
        (b"", "uint8", "body"),
        (b"\0" * 5, "uint8", "body"),
        (b"\0" * 6, "float32", "body"),
        (b"\0" * 6, "int8", "dtype"),
        (b"\0\0\xc0\x7f" + b"\0" * 20, "float32", "body row 0"),
    ],
)
def test_bytes_that_do_not_fit(body: bytes, dtype: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rows_from_bytes(body, dtype, InputSignature(shape=(2, 3)))
    assert refused.value.field == field
