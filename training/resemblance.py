"""Which channels resemble each other: they hold inputs that look alike, or share inputs in doubt.

Neither alone is enough (docs/decisions/0005-mnist-trials.md). What looks alike in the space of the
inputs does not mislead where the encoder keeps a rare style apart, but is crude; what the encoder
is in doubt about is fine, but follows its errors.
"""

import numpy as np
from numpy.typing import NDArray

from rcmvae.ownership import OWNERSHIP_TEMPERATURE
from training.encode import Encoded

NEIGHBOURS = 10
MOST_INPUTS = 10_000
MOST_OF_CHANNEL = 400


def channel_resemblance(x: NDArray[np.float32], encoded: Encoded) -> NDArray[np.float64]:
    """The mean of both resemblances, each with rows of sum one, (K, K), zero diagonal.

    A channel that neither knows anything about has a row of zeros.

    Args:
        x: unlabelled inputs as the network works in them, (n, *shape).
        encoded: of the same inputs.
    """
    looks = _rows_to_one(nearest_channels(x, encoded))
    return np.asarray((looks + _rows_to_one(shared_doubt(encoded))) / 2.0)


def shared_doubt(encoded: Encoded) -> NDArray[np.float64]:
    """Mass that two channels share over the same inputs, (K, K), symmetric, zero diagonal.

    R^T R / n with R the responsibilities at OWNERSHIP_TEMPERATURE, at which a routing that is too
    sure still shows its second choice.

    Args:
        encoded: unlabelled inputs.
    """
    r = encoded.responsibilities(OWNERSHIP_TEMPERATURE)
    shared = r.T @ r / len(r)
    np.fill_diagonal(shared, 0.0)
    return np.asarray(shared)


def _rows_to_one(resemblance: NDArray[np.float64]) -> NDArray[np.float64]:
    total = resemblance.sum(axis=1, keepdims=True)
    return np.asarray(resemblance / np.where(total > 0.0, total, 1.0))


def nearest_channels(x: NDArray[np.float32], encoded: Encoded) -> NDArray[np.float64]:
    """Mean responsibilities of the nearest inputs that other channels hold, (K, K), zero diagonal.

    Row k: of the NEIGHBOURS inputs nearest to each input of channel k that lie in another channel.
    Near is meant in the space of the inputs (images by cosine), which the encoder has no part in:
    what keeps a rare style apart in the encoder cannot mislead it. No label has a part either.

    Args:
        x: unlabelled inputs as the network works in them, (n, *shape); of more than MOST_INPUTS the
            first are used.
        encoded: of the same inputs.
    """
    points = points_of(x[:MOST_INPUTS])
    r = encoded.responsibilities()[: len(points)]
    channel = encoded.channel[: len(points)]
    resemblance = np.zeros((r.shape[1], r.shape[1]))
    for k in np.unique(channel):
        others = np.flatnonzero(channel != k)
        if others.size:
            own = points[channel == k][:MOST_OF_CHANNEL]
            nearest = _nearest(own, points[others])
            resemblance[k] = r[others[nearest]].mean(axis=(0, 1))
    np.fill_diagonal(resemblance, 0.0)
    return resemblance


def points_of(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inputs as points; those of images have length one, so that a fainter stroke is no other."""
    flat = x.reshape(len(x), -1)
    if x.ndim == 2:
        return flat
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), dtype=np.float32)


def _nearest(own: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of the nearest others of each own point by Euclidean distance, (n, NEIGHBOURS)."""
    count = min(NEIGHBOURS, len(others))
    # The own point's square is the same for all others.
    distance = np.square(others).sum(axis=1) - 2.0 * own @ others.T
    found = np.argpartition(distance, count - 1, axis=1)[:, :count]
    return np.asarray(found, dtype=np.int64)
