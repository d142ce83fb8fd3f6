"""Arrays as NumPy saves them, read without ``numpy.load``.

Nothing of the header is evaluated: it must have the form that NumPy writes, and only arrays of
plain numbers in C order are read. So nothing can be unpickled, and no size is believed before the
body is known to have it.
"""

import math
import re

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import InvalidInput

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 512
_MOST_AXES = 5
_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[<>|=]?[A-Za-z]\d{1,2})', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,10}, ?)*(?:\d{1,10})?)\),? ?\} *\n"
)
_DTYPES = {b"|u1": np.uint8, b"<f4": np.float32, b"<f8": np.float64}


def read_npy(body: bytes) -> NDArray[np.generic]:
    """The array in a body, uint8, float32 or float64; a view of the body.

    Raises:
        InvalidInput: it is no such file; says what was expected.
    """
    header, start = _header(body)
    descr, shape = header["descr"], _shape(header["shape"])
    if descr not in _DTYPES:
        expected = "an array of uint8, or little-endian float32 or float64"
        raise InvalidInput("body", expected, f"descr {descr.decode('ascii')!r}")
    if header["fortran"] == b"True" and len(shape) > 1:
        raise InvalidInput("body", "an array in C order", "Fortran order")
    dtype = np.dtype(_DTYPES[descr])
    size = math.prod(shape) * dtype.itemsize
    if len(body) - start != size:
        raise InvalidInput("body", f"{size} bytes of values for {shape}", f"{len(body) - start}")
    return np.frombuffer(body, dtype, offset=start).reshape(shape)


def _header(body: bytes) -> tuple[dict[str, bytes], int]:
    """The parts of the header, and where the values start."""
    if not body.startswith(_MAGIC) or len(body) < 12:
        raise InvalidInput("body", "a file of numpy.save", "other bytes")
    major, minor = body[6], body[7]
    if (major, minor) not in {(1, 0), (2, 0), (3, 0)}:
        raise InvalidInput("body", "format version 1.0, 2.0 or 3.0", f"{major}.{minor}")
    width = 2 if major == 1 else 4
    length = int.from_bytes(body[8 : 8 + width], "little")
    if length > _LONGEST_HEADER:
        raise InvalidInput("body", f"a header of at most {_LONGEST_HEADER} bytes", f"{length}")
    start = 8 + width + length
    match = _HEADER.fullmatch(body, 8 + width, min(start, len(body)))
    if match is None:
        raise InvalidInput("body", "a header as numpy.save writes it", "another one")
    return match.groupdict(), start


def _shape(text: bytes) -> tuple[int, ...]:
    shape = tuple(int(side) for side in text.replace(b" ", b"").split(b",") if side)
    if not 1 <= len(shape) <= _MOST_AXES:
        raise InvalidInput("body", f"1 to {_MOST_AXES} axes", f"{len(shape)}")
    return shape
