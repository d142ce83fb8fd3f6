"""NPZ files: arrays of numpy by name."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import DataError, InvalidInput
from rcmvae.label_name import label_name
from training.data.examples import Examples
from training.data.source import Source, make_source, require_same_shape

LARGEST = 1e30
"""Of a vector's values: leaves the float32 of network and graphs room to square differences."""


def load_npz(path: Path) -> Source:
    """Arrays ``x`` (n, ...) and ``y`` (n,), and optionally ``x_test`` and ``y_test``.

    Images lie in [0, 1], or are bytes; vectors, (n, F), are raw, and ``features`` may name their
    values.

    Raises:
        DataError: an array is missing, malformed, or does not fit the others.
    """
    arrays = _read_npz(path)
    if not {"x", "y"} <= arrays.keys():
        raise DataError(f"{path.name}: expected arrays x and y, got {sorted(arrays)}")
    y = _label_names(path, arrays["y"])
    names = np.unique(y)
    train = _npz_examples(path, arrays["x"], y, names)
    test = None
    if "x_test" in arrays and "y_test" in arrays:
        y_test = _label_names(path, arrays["y_test"])
        test = _npz_examples(path, arrays["x_test"], y_test, names)
        require_same_shape(path, train, test)
    return make_source(tuple(names.tolist()), train, test, _feature_names(path, arrays))


def _feature_names(path: Path, arrays: dict[str, NDArray[np.generic]]) -> tuple[str, ...] | None:
    if "features" not in arrays:
        return None
    names, shape = arrays["features"], arrays["x"].shape[1:]
    texts = tuple(names.astype(str).tolist()) if names.ndim == 1 else ()
    if len(shape) != 1 or len(set(texts)) != shape[0] or not all(1 <= len(t) <= 64 for t in texts):
        raise DataError(
            f"{path.name}: expected features as distinct names of 1 to 64 characters, one for each "
            f"value of a vector, got {names.dtype} {names.shape} for inputs of shape {shape}"
        )
    return texts


def _read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        # Opened here, because numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # A file of one array opens as that array, which is no context.
    except (OSError, EOFError, ValueError, TypeError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name}: expected an NPZ without objects, got {error}") from None


def _label_names(path: Path, y: NDArray[np.generic]) -> NDArray[np.str_]:
    """Labels in the one form in which requests name them too."""
    if y.dtype.kind not in "biufU" or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise DataError(f"{path.name}: expected y as finite numbers or text, got {y.dtype}")
    distinct, place = np.unique(y.astype(str), return_inverse=True)
    try:
        named = [label_name("y", text) for text in distinct.tolist()]
    except InvalidInput as error:
        raise DataError(f"{path.name}: {error}") from None
    return np.array(named)[place]


def _npz_examples(
    path: Path, x: NDArray[np.generic], y: NDArray[np.str_], names: NDArray[np.str_]
) -> Examples:
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or not x.size:
        raise DataError(f"{path.name}: expected n inputs and labels, got {x.shape} and {y.shape}")
    if x.dtype.kind not in "buif":
        raise DataError(f"{path.name}: expected x as real numbers, got {x.dtype}")
    inputs = _raw_vectors(path, x) if x.ndim == 2 else _images(path, x)
    index = np.searchsorted(names, y)
    if not (names[np.minimum(index, len(names) - 1)] == y).all():
        raise DataError(f"{path.name}: y_test holds a label that y does not")
    return Examples(inputs, index.astype(np.int64))


def _raw_vectors(path: Path, x: NDArray[np.generic]) -> NDArray[np.float32]:
    """As they are: the network scales them itself, and clients send them raw."""
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    # A NaN fails the comparison too.
    if not np.abs(values).max() <= LARGEST:
        raise DataError(f"{path.name}: expected finite x within +-{LARGEST:g}")
    return values


def _images(path: Path, x: NDArray[np.generic]) -> NDArray[np.float32]:
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    values = x.astype(np.float32) / np.float32(scale)
    if not np.isfinite(values).all() or values.min() < 0.0 or values.max() > 1.0:
        raise DataError(f"{path.name}: expected x as uint8 or as numbers in [0, 1]")
    images = values[:, None] if values.ndim == 3 else values
    _require_channels_first(path, images)
    return images


def _require_channels_first(path: Path, images: NDArray[np.float32]) -> None:
    """Refuse (n, H, W, C): the network would take rows of pixels for colours."""
    if images.ndim == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
        expected = "images with channels first, (n, C, H, W)"
        raise DataError(f"{path.name}: expected {expected}, got shape {images.shape}")
