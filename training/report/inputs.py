"""How inputs are shown: images as images, vectors as profiles of their features."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

_STYLES = ("-", "--")
_FEW_FEATURES = 40


def is_image(shape: Sequence[int]) -> bool:
    """Whether inputs of this shape are images, (C, H, W)."""
    return len(shape) == 3


def pixels(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """An image (C, H, W) for the screen: (H, W, 3) in colour, or its planes below each other."""
    return np.moveaxis(x, 0, -1) if x.shape[0] == 3 else x.reshape(-1, x.shape[-1])


def mosaic(rows: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Rows of images, each (n, C, H, W), as one image with white lines between them."""
    lines = [_joined([pixels(x) for x in row], axis=1) for row in rows]
    return _joined(lines, axis=0)


def _joined(images: Sequence[NDArray[np.floating]], axis: int) -> NDArray[np.floating]:
    parts: list[NDArray[np.floating]] = []
    for image in images:
        gap = np.ones((*image.shape[:axis], 1, *image.shape[axis + 1 :]), dtype=image.dtype)
        parts += [image, gap]
    return np.concatenate(parts[:-1], axis=axis)


def show_rows(axis: Axes, rows: Sequence[NDArray[np.floating]]) -> None:
    """Show rows of inputs, each (n, *shape) with n > 0.

    Images are laid out as a mosaic. Vectors are drawn over each other, the first row solid and
    the second dashed, the same place in the same colour.
    """
    if is_image(rows[0].shape[1:]):
        axis.imshow(mosaic(rows), cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
        return
    for row, style in zip(rows, _STYLES, strict=False):
        for place, x in enumerate(row):
            profile(axis, x, style, color=f"C{place % 10}")


def profile(axis: Axes, x: NDArray[np.floating], style: str, color: str) -> None:
    """Draw the features of a vector in their order, as a line over [0, 1]."""
    values = x.ravel()
    marker = "." if values.size <= _FEW_FEATURES else ""
    axis.plot(values, style, marker=marker, markersize=3, linewidth=0.9, color=color)
    axis.set_ylim(-0.05, 1.05)
    axis.set(xticks=[], yticks=[])
