"""KL and Mahalanobis distances as the served graph computes them: weighted sums of squares."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.ood import FeatureDensity

DISTANCE_NAMES = ("kl", "mahalanobis", "texture")
"""In the order of the graph's columns."""


@dataclass(frozen=True, slots=True)
class SquareForm:
    """A squared distance of v as a sum of squares: of_values v^2 + of_axes (axes^T v)^2.

    Attributes:
        axes: (F, Q).
        of_axes: (Q,).
        of_values: (F,); None where the axes say it all.
    """

    axes: NDArray[np.float64]
    of_axes: NDArray[np.float64]
    of_values: NDArray[np.float64] | None


def square_form(density: FeatureDensity) -> SquareForm:
    """That of the Mahalanobis distance.

    With few axes as the density has it, rest |v|^2 - |A^T v|^2 in units of scale. With as many as
    there are values it is a plain length, from which nothing is taken that float32 would miss.
    """
    size, count = density.axes.shape
    if count < size - 1:
        values = density.rest / density.scale**2
        return SquareForm(density.axes / density.scale[:, None], np.full(count, -1.0), values)
    variance, direction = np.linalg.eigh(
        density.rest * np.eye(size) - density.axes @ density.axes.T
    )
    axes = direction * np.sqrt(np.maximum(variance, 0.0)) / density.scale[:, None]
    return SquareForm(axes, np.ones(size), None)


@dataclass(frozen=True, slots=True)
class Distances:
    """KL and both Mahalanobis distances, as sums of squares of what lies between input and channel.

    KL = (|z|^2 + sum_i exp u_i - u_i - 1) / 2, in the prior's coordinates, where every channel
    lies at zero; the other two are `SquareForm`s.

    Attributes:
        place: names of the tensors that place an input.
        constants: where channels lie, and the weights of squares and variances.
    """

    place: tuple[str, ...]
    constants: Mapping[str, NDArray[np.floating]]


def distances_of(latent_dim: int, features: FeatureDensity, texture: FeatureDensity) -> Distances:
    """What the graph needs of a latent of ``latent_dim`` values and of both densities."""
    of_kl, *of_densities = np.eye(len(DISTANCE_NAMES))
    place = ["z_unit"]
    channels = [np.zeros((len(features.means), latent_dim))]
    squares = [np.outer(np.full(latent_dim, 0.5), of_kl)]
    constants = {
        "variance_weights": np.outer(np.repeat([0.5, -0.5], latent_dim), of_kl),
        "variance_start": -0.5 * latent_dim * of_kl,
    }
    named = (("features", "features", features), ("texture", "texture_maps", texture))
    for (name, values, density), column in zip(named, of_densities, strict=True):
        form = square_form(density)
        constants[f"{name}_axes"] = form.axes
        place.append(f"{name}_along")
        channels.append(density.means @ form.axes)
        squares.append(np.outer(form.of_axes, column))
        if form.of_values is not None:
            place.append(values)
            channels.append(density.means)
            squares.append(np.outer(form.of_values, column))
    constants["channel_places"] = np.column_stack(channels)
    constants["square_weights"] = np.vstack(squares)
    return Distances(tuple(place), constants)
