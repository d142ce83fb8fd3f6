"""The Mahalanobis distance as the served graph computes it: a weighted sum of squares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.ood import FeatureDensity


@dataclass(frozen=True, slots=True)
class SquareForm:
    """A squared distance of v as a sum of squares: of_values v^2 + of_axes (axes^T v)^2.

    Attributes:
        axes: (F, Q).
        of_values: (F,).
        of_axes: (Q,).
    """

    axes: NDArray[np.float64]
    of_values: NDArray[np.float64]
    of_axes: NDArray[np.float64]


def square_form(density: FeatureDensity) -> SquareForm:
    """That of the Mahalanobis distance.

    With few axes as the density has it, rest |v|^2 - |A^T v|^2 in units of scale. With as many as
    there are values it is a plain length, from which nothing is taken that float32 would miss.
    """
    size, count = density.axes.shape
    if count < size - 1:
        values = density.rest / density.scale**2
        return SquareForm(density.axes / density.scale[:, None], values, np.full(count, -1.0))
    variance, direction = np.linalg.eigh(
        density.rest * np.eye(size) - density.axes @ density.axes.T
    )
    axes = direction * np.sqrt(np.maximum(variance, 0.0)) / density.scale[:, None]
    return SquareForm(axes, np.zeros(size), np.ones(size))
