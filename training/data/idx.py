"""IDX files, the format of MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import DataError
from training.data.examples import Examples
from training.data.source import Source, make_source, require_same_shape

_IDX_UINT8 = 0x08
_IDX_STEMS = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def load_idx_folder(folder: Path) -> Source:
    """Images and labels of MNIST's four files, with their test set.

    Raises:
        DataError: a file is missing, malformed, or does not fit the others.
    """
    train, test = (_load_idx_pair(folder, images, labels) for images, labels in _IDX_STEMS)
    require_same_shape(folder, train, test)
    count = int(max(train.y.max(), test.y.max())) + 1
    return make_source(tuple(str(i) for i in range(count)), train, test)


def _load_idx_pair(folder: Path, images: str, labels: str) -> Examples:
    x = read_idx(_find_idx(folder, images))
    y = read_idx(_find_idx(folder, labels))
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or not len(x):
        raise DataError(
            f"{folder.name}: expected n images and n labels, got shapes {x.shape} and {y.shape}"
        )
    return Examples((x.astype(np.float32) / 255.0)[:, None], y.astype(np.int64))


def _find_idx(folder: Path, stem: str) -> Path:
    for candidate in (folder / stem, folder / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder.name}: expected a file {stem} or {stem}.gz, found neither")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzipped or not.

    The format: two zero bytes, the element type, the number of axes, each axis as a big-endian
    32-bit integer, then the values (LeCun's page on MNIST).

    Raises:
        DataError: the file is not IDX, of another element type, or too short or long.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: expected a readable file, got {error}") from None
    if len(raw) < 4 or raw[:3] != bytes((0, 0, _IDX_UINT8)):
        raise DataError(f"{path.name}: expected an IDX header of unsigned bytes, got {raw[:4]!r}")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path.name}: expected {raw[3]} axes in the header, got {len(raw)} bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw[4:start], dtype=">u4"))
    # Not numpy's product, which overflows in silence.
    expected = start + math.prod(shape)
    if len(raw) != expected:
        raise DataError(f"{path.name}: expected {expected} bytes for {shape}, got {len(raw)}")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)
