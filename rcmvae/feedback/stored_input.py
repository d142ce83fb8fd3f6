"""An input as bytes: how a row of the database holds one array.

Pixels that came as bytes are kept as bytes, with the name of the scale that gives back every float
of them, bit for bit; all else as little-endian float32. Both are in C order, and compressed by zlib
where that saves an eighth or more. The shape stands beside, and the SHA-256 of the float32 bytes,
which every read verifies: so an input has one hash, however it is kept.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from rcmvae.errors import StoreUnavailable

FLOATS = "f32le"
DIVIDED = "u8/255"
"""Bytes k for the floats k / 255, as they come from JSON or from a data source."""
MULTIPLIED = "u8*(1/255)"
"""Bytes k for k * (1 / 255), both in float32, as a scaled binary request has them: half of the 256
differ from the quotients in the last bit."""
_BYTES = np.arange(256, dtype=np.float32)
_LEVELS: Mapping[str, NDArray[np.float32]] = {
    DIVIDED: _BYTES / np.float32(255),
    MULTIPLIED: _BYTES * np.float32(1 / 255),
}
COMPRESSED = "+zlib"
"""Ends the name of an encoding whose bytes are compressed."""
# Pixels compress several times over at any level. Every prediction is written here: ISA-L's fastest
# level takes 1 us for 28 x 28 where zlib's takes 9 to 21, and zlib reads it.
_LEVEL = 0
_LARGEST_WORTHWHILE = 7 / 8


@dataclass(frozen=True, slots=True)
class StoredInput:
    """One array as four columns.

    Args:
        shape: sizes joined by ``x``, such as ``28x28``.
        encoding: FLOATS, DIVIDED or MULTIPLIED, and COMPRESSED or nothing after it.
        data: the bytes.
        sha256: of the float32 bytes, lower-case hexadecimal.
    """

    shape: str
    encoding: str
    data: bytes
    sha256: str


class _Plain(NamedTuple):
    """Bytes before they are compressed, and how they are to be read."""

    kind: str
    data: bytes


def encode(array: NDArray[np.float32]) -> StoredInput:
    """Turn an array (f32, any shape, finite) into its stored form."""
    raw = array.astype("<f4").tobytes()
    plain = _as_bytes(np.frombuffer(raw, "<f4"), raw) or _Plain(FLOATS, raw)
    packed = isal_zlib.compress(plain.data, _LEVEL)
    pays = len(packed) <= _LARGEST_WORTHWHILE * len(plain.data)
    return StoredInput(
        shape="x".join(str(size) for size in array.shape),
        encoding=plain.kind + COMPRESSED if pays else plain.kind,
        data=packed if pays else plain.data,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _as_bytes(values: NDArray[np.float32], raw: bytes) -> _Plain | None:
    """One byte a value, where that gives back the same bits; None where it does not."""
    # What is far from every byte becomes some byte, and the comparison finds it out.
    with np.errstate(invalid="ignore", over="ignore"):
        nearest = np.rint(values * np.float32(255)).astype(np.uint8)
    for kind, levels in _LEVELS.items():
        if levels.take(nearest).astype("<f4", copy=False).tobytes() == raw:
            return _Plain(kind, nearest.tobytes())
    return None


def decode(stored: StoredInput, owner: str) -> NDArray[np.float32]:
    """Turn the stored form back into a read-only array.

    Args:
        stored: as read, and not to be trusted.
        owner: id of the row, for the message.

    Raises:
        StoreUnavailable: the bytes are not those that were stored.
    """
    try:
        shape = tuple(int(size) for size in str(stored.shape).split("x"))
        if min(shape) < 1:
            raise ValueError(f"expected sizes of 1 or more, got {shape}")
        array = np.frombuffer(_unpack(stored, math.prod(shape)), dtype="<f4").reshape(shape)
    except (ValueError, TypeError, OverflowError, zlib.error) as error:
        raise StoreUnavailable(f"the stored input of {owner} is damaged: {error}") from error
    return array.astype(np.float32, copy=False)


def _unpack(stored: StoredInput, size: int) -> bytes:
    """The float32 bytes of ``size`` values."""
    encoding = str(stored.encoding)
    kind = encoding.removesuffix(COMPRESSED)
    if kind != FLOATS and kind not in _LEVELS:
        expected = f"{FLOATS}, {DIVIDED} or {MULTIPLIED}, {COMPRESSED} or nothing after it"
        raise ValueError(f"expected encoding {expected}, got {encoding!r}")
    data = stored.data
    if kind != encoding:
        # One byte more than expected is enough to notice, and a bomb stays packed.
        most = size * (4 if kind == FLOATS else 1) + 1
        data = zlib.decompressobj().decompress(stored.data, most)
    raw = data if kind == FLOATS else _floats(data, kind)
    actual = hashlib.sha256(raw).hexdigest()
    if actual != stored.sha256:
        raise ValueError(f"expected sha256 {stored.sha256}, got {actual}")
    return raw


def _floats(data: bytes, kind: str) -> bytes:
    levels = _LEVELS[kind].take(np.frombuffer(data, np.uint8))
    return levels.astype("<f4", copy=False).tobytes()
