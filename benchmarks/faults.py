"""What can be wrong with an image: corruptions, turns, inversion. For measuring only.

Each takes images (n, side, side) in [0, 1] and a generator, and returns images of the same shape,
not yet cut to [0, 1]. Extents are shares of the side, so that small images suffer alike. How strong
each one is was fixed by looking at MNIST: a person sees at first sight that something is wrong.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grey = NDArray[np.floating]
Fault = Callable[[Grey, np.random.Generator], Grey]


def _blur(x: Grey, _: np.random.Generator) -> Grey:
    width = 1.5 / 28 * x.shape[1]
    return np.asarray(ndimage.gaussian_filter(x, (0.0, width, width)))


def _gaussian_noise(x: Grey, rng: np.random.Generator) -> Grey:
    return x + 0.25 * rng.normal(size=x.shape)


def _salt_and_pepper(x: Grey, rng: np.random.Generator) -> Grey:
    return np.where(rng.random(x.shape) < 0.08, rng.integers(0, 2, x.shape), x)


def _low_contrast(x: Grey, _: np.random.Generator) -> Grey:
    return 0.5 + 0.4 * (x - 0.5)


def _bright(x: Grey, _: np.random.Generator) -> Grey:
    return x + 0.3


def _dim(x: Grey, _: np.random.Generator) -> Grey:
    return 0.45 * x


def _occluded(x: Grey, rng: np.random.Generator) -> Grey:
    """A grey square, a third of the side wide, somewhere near the middle."""
    side = x.shape[1]
    width = round(side / 2.8)
    corners = rng.integers(side // 7, side - width - side // 7 + 1, (len(x), 2))
    out = x.copy()
    for image, (row, column) in zip(out, corners.tolist(), strict=True):
        image[row : row + width, column : column + width] = 0.5
    return out


def _elastic(x: Grey, rng: np.random.Generator) -> Grey:
    """Random displacements of two pixels of 28 in the mean, smooth over as many (Simard 2003)."""
    side = x.shape[1]
    smooth, extent = 2.0 / 28 * side, 22.0 / 28 * side
    grid = np.mgrid[:side, :side]
    moves = ndimage.gaussian_filter(
        rng.uniform(-1, 1, (len(x), 2, side, side)), (0, 0, smooth, smooth)
    )
    pairs = zip(x, grid + extent * moves, strict=True)
    return np.stack([ndimage.map_coordinates(image, place, order=1) for image, place in pairs])


def _pixelated(x: Grey, _: np.random.Generator) -> Grey:
    """Blocks of a seventh of the side, or of two pixels."""
    side = x.shape[1]
    block = max(2, side // 7)
    start = np.arange(side) // block
    rows = np.stack([x[:, start == i].mean(axis=1) for i in range(start[-1] + 1)], axis=1)[:, start]
    columns = [rows[:, :, start == i].mean(axis=2) for i in range(start[-1] + 1)]
    return np.stack(columns, axis=2)[:, :, start]


def _striped(x: Grey, _: np.random.Generator) -> Grey:
    """Every fourth row is white."""
    out = x.copy()
    out[:, ::4] = 1.0
    return out


def _rotated_90(x: Grey, _: np.random.Generator) -> Grey:
    return np.rot90(x, 1, (1, 2))


def _rotated_180(x: Grey, _: np.random.Generator) -> Grey:
    return np.rot90(x, 2, (1, 2))


def _inverted(x: Grey, _: np.random.Generator) -> Grey:
    return 1.0 - x


FAULTS: Mapping[str, Fault] = {
    "inverted": _inverted,
    "rotated_90": _rotated_90,
    "rotated_180": _rotated_180,
    "blur": _blur,
    "gaussian_noise": _gaussian_noise,
    "salt_and_pepper": _salt_and_pepper,
    "low_contrast": _low_contrast,
    "bright": _bright,
    "dim": _dim,
    "occluded": _occluded,
    "elastic": _elastic,
    "pixelated": _pixelated,
    "striped": _striped,
}


def faulty(name: str, x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Images (n, 1, side, side) with a fault, cut to [0, 1]."""
    changed = FAULTS[name](x[:, 0].astype(np.float64), rng)
    return np.clip(changed, 0.0, 1.0).astype(np.float32)[:, None]
