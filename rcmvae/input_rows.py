"""From what a caller sent to float32 inputs of the bundle's signature, or a refusal.

A row is nested as the signature's shape or flat. Every refusal is an InvalidInput that names
the row, what would have been accepted, and what came.
"""

from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput

WIRE_DTYPES = ("uint8", "float32")

_JSON_NAMES = {bool: "a boolean", str: "a string", type(None): "null", dict: "an object"}


def rows_from_nested(
    rows: Sequence[object],
    signature: InputSignature,
    *,
    field: str = "inputs",
    may_hold_booleans: bool = True,
) -> NDArray[np.float32]:
    """Rows of numbers as they come out of a JSON parser.

    Args:
        rows: one entry per input, a list nested as ``signature.shape`` or flat.
        signature: shape and closed value range of one input.
        field: how errors call the list.
        may_hold_booleans: False where the text that was parsed cannot hold one. They are the only
            kind that a conversion lets pass, and to look for them costs as much as the conversion.

    Returns:
        float32 (N, *shape).

    Raises:
        InvalidInput: no rows, a row of another shape, ragged, an element that is not a number,
            not finite, or outside the range.
    """
    _require_rows(len(rows), field)
    wide = np.empty((len(rows), signature.size))
    for i, row in enumerate(rows):
        name = f"{field}[{i}]"
        leaves = _leaves(row, signature, name)
        if may_hold_booleans:
            _require_numbers(leaves, name)
        wide[i] = _floats(leaves, name)
    return _checked(_to_float32(wide), signature, lambda i: f"{field}[{i}]")


def row_from_nested(row: object, signature: InputSignature, *, field: str) -> NDArray[np.float32]:
    """One row, as `rows_from_nested` reads it; float32 of ``signature.shape``."""
    leaves = _leaves(row, signature, field)
    _require_numbers(leaves, field)
    flat = _to_float32(np.array([_floats(leaves, field)]))
    checked: NDArray[np.float32] = _checked(flat, signature, lambda _: field)[0]
    return checked


def rows_from_bytes(body: bytes, dtype: str, signature: InputSignature) -> NDArray[np.float32]:
    """Rows back to back, without padding.

    Args:
        body: N rows in C order.
        dtype: ``uint8``, scaled so that 0 is the low end of the range and 255 the high end, or
            ``float32``, little-endian.
        signature: shape and closed value range of one input.

    Returns:
        float32 (N, *shape), a copy.

    Raises:
        InvalidInput: unknown dtype, no rows, a broken row, a value not finite or out of range.
    """
    if dtype not in WIRE_DTYPES:
        raise InvalidInput("dtype", " or ".join(WIRE_DTYPES), _quoted(dtype))
    row_bytes = signature.size * (1 if dtype == "uint8" else 4)
    if not body or len(body) % row_bytes:
        expected = f"one or more rows of {row_bytes} bytes ({dtype}, shape {list(signature.shape)})"
        raise InvalidInput("body", expected, f"{len(body)} bytes")
    if dtype == "uint8":
        return _scaled(np.frombuffer(body, np.uint8), signature)
    flat = np.frombuffer(body, "<f4").astype(np.float32).reshape(-1, signature.size)
    return _checked(flat, signature, lambda i: f"body row {i}")


def rows_from_array(
    array: NDArray[np.generic], signature: InputSignature, *, field: str
) -> NDArray[np.float32]:
    """Rows of an array that a format with shape and element type brought.

    Args:
        array: uint8, scaled as `rows_from_bytes` does, float32 or float64, of shape (N, *shape) or
            (N, size).
        signature: shape and closed value range of one input.
        field: how errors call the array.

    Returns:
        float32 (N, *shape).

    Raises:
        InvalidInput: another element type or shape, no rows, a value not finite or out of range.
    """
    if array.shape[1:] not in {signature.shape, (signature.size,)}:
        expected = f"shape (N, {signature.size}) or (N, {', '.join(map(str, signature.shape))})"
        raise InvalidInput(field, expected, f"{array.shape}")
    _require_rows(len(array), field)
    if array.dtype == np.uint8:
        return _scaled(array.astype(np.uint8), signature)
    if array.dtype not in (np.float32, np.float64):
        raise InvalidInput(field, "uint8, float32 or float64", str(array.dtype))
    with np.errstate(over="ignore"):
        flat = array.astype(np.float32).reshape(-1, signature.size)
    return _checked(flat, signature, lambda i: f"{field} row {i}")


def fits(x: NDArray[np.float32], signature: InputSignature) -> bool:
    """Whether an input that some bundle took is one of this signature: shape and range."""
    is_shaped = x.shape == signature.shape
    return is_shaped and bool(((x >= signature.low) & (x <= signature.high)).all())


def _require_rows(count: int, field: str) -> None:
    if count == 0:
        raise InvalidInput(field, "at least one row", "an empty list")


def _scaled(values: NDArray[np.uint8], signature: InputSignature) -> NDArray[np.float32]:
    scaled = values.astype(np.float32)
    scaled *= np.float32((signature.high - signature.low) / 255.0)
    scaled += np.float32(signature.low)
    # Rounding may go one step above the high end; 0 is the low end to the bit.
    np.minimum(scaled, np.float32(signature.high), out=scaled)
    return scaled.reshape(-1, *signature.shape)


def _leaves(row: object, signature: InputSignature, field: str) -> list[Any]:
    """The values of one row in C order, after its nesting has been checked."""
    if not isinstance(row, list):
        raise InvalidInput(field, _row_form(signature), _kind(row))
    nested = bool(row) and isinstance(row[0], list)
    leaves = _unnest(row, signature.shape, field) if nested else row
    if len(leaves) != signature.size:
        raise InvalidInput(field, _row_form(signature), f"a list of {len(leaves)}")
    return leaves


def _require_numbers(leaves: Sequence[object], field: str) -> None:
    if not set(map(type, leaves)) <= {int, float}:
        position = next(i for i, leaf in enumerate(leaves) if type(leaf) not in (int, float))
        raise InvalidInput(field, "numbers only", f"{_kind(leaves[position])} at value {position}")


def _floats(leaves: list[Any], field: str) -> "array[float]":
    """The leaves as float64; a boolean passes as 0 or 1."""
    try:
        return array("d", leaves)
    except TypeError:
        _require_numbers(leaves, field)
        raise
    except OverflowError:
        raise InvalidInput(field, "numbers that a float can hold", "a larger integer") from None


def _unnest(row: object, shape: tuple[int, ...], field: str) -> list[object]:
    if not isinstance(row, list):
        raise InvalidInput(field, f"a list of {shape[0]}", _kind(row))
    if len(row) != shape[0]:
        raise InvalidInput(field, f"a list of {shape[0]}", f"a list of {len(row)}")
    if len(shape) == 1:
        return row
    inner = (_unnest(part, shape[1:], f"{field}[{i}]") for i, part in enumerate(row))
    return list(chain.from_iterable(inner))


def _to_float32(wide: NDArray[np.float64]) -> NDArray[np.float32]:
    # A value beyond float32 becomes infinite, and the range check refuses it.
    with np.errstate(over="ignore"):
        return wide.astype(np.float32)


def _checked(
    flat: NDArray[np.float32], signature: InputSignature, name: Callable[[int], str]
) -> NDArray[np.float32]:
    """Refuse values outside the range; NaN fails the comparison too. (N, size) -> (N, *shape)."""
    low, high = np.float32(signature.low), np.float32(signature.high)
    if not (flat.min() >= low and flat.max() <= high):
        inside = (flat >= low) & (flat <= high)
        row, column = (int(i) for i in np.argwhere(~inside)[0])
        raise InvalidInput(
            name(row),
            f"finite values in [{signature.low:g}, {signature.high:g}]",
            f"{flat[row, column]:g} at value {_value_name(signature, column)}",
        )
    return flat.reshape(-1, *signature.shape)


def _value_name(signature: InputSignature, index: int) -> str:
    return f"{index}" + (f" ({signature.features[index]})" if signature.features else "")


def _row_form(signature: InputSignature) -> str:
    return f"a list of {signature.size} numbers, flat or nested as {list(signature.shape)}"


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _JSON_NAMES.get(type(value), "a number")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 64 else text[:64] + "...")
