"""Tensors in safetensors form: arrays and the text metadata of the header."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from rcmvae.bundle.check import Check
from rcmvae.bundle.printable import printable
from rcmvae.errors import BundleDamaged

_LENGTH_BYTES = 8


def read_arrays(name: str, content: bytes) -> Mapping[str, NDArray[Any]]:
    """Every tensor of a file, read-only, by its name.

    Args:
        name: name of the file, for the error.
        content: its bytes.

    Raises:
        BundleDamaged: header or offsets are wrong, or NumPy lacks the element type.
    """
    try:
        arrays = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise BundleDamaged(Check.SAFETENSORS, name, printable(str(error))) from error
    return MappingProxyType({key: _frozen(array) for key, array in arrays.items()})


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def read_metadata(name: str, content: bytes) -> Mapping[str, str]:
    """The ``__metadata__`` of the header: text by text, empty when there is none.

    Raises:
        BundleDamaged: as ``read_arrays``.
    """
    read_arrays(name, content)  # the library judges the header; below it is only picked apart
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header: dict[str, dict[str, str]] = json.loads(content[_LENGTH_BYTES:end])
    return MappingProxyType(header.get("__metadata__") or {})


def require_tensor(
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    dtype: type[np.generic],
    shape: tuple[int, ...],
    *,
    check: str,
    file: str,
) -> NDArray[Any]:
    """The tensor of a name, of this element type and shape.

    Raises:
        BundleDamaged: with ``check`` and ``file``; it is not there, or another.
    """
    array = arrays.get(name)
    if array is None:
        raise BundleDamaged(check, file, f"{name}: expected a tensor, found none")
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        expected = f"{np.dtype(dtype)} of shape {shape}"
        actual = f"{array.dtype} of shape {array.shape}"
        raise BundleDamaged(check, file, f"{name}: expected {expected}, got {actual}")
    return array


def write_tensors(
    arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Bytes of a safetensors file; the arrays may be of any memory layout."""
    # The library writes the buffer as it lies in memory, so a transposed view must be copied.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return safetensors.numpy.save(contiguous, dict(metadata) if metadata else None)
