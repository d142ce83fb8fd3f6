"""The 2-D picture: every channel has an anchor, and an input lies around the one of its channel.

A refit begins with the picture before it, and turns its own so that both lie alike: what did not
change stays where it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from rcmvae.scores_graph import Placement
from training.encode import Encoded

NUDGE = 0.01
"""By how much a new channel starts beside the one that it is most like."""

SPREAD = 0.35
"""Standard deviation of a channel's cloud, in units of the median gap between anchors."""

WIDTH = 30.0
"""Standard deviation of a t-SNE of some tens of points, in its own units."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How a channel and a latent become a position.

    Attributes:
        anchor: centre of every channel, within [-1, 1], (K, 2).
        plane: from a latent mean, less the origin of its channel, to the offset, (d, 2).
        origin: mean of every channel's prior, (K, d).
    """

    anchor: NDArray[np.float64]
    plane: NDArray[np.float64]
    origin: NDArray[np.float64]

    def position(self, encoded: Encoded) -> NDArray[np.float64]:
        """Positions of encoded inputs, (n, 2)."""
        offset = _centred(encoded, self.origin) @ self.plane
        position: NDArray[np.float64] = self.anchor[encoded.channel] + offset
        return position


def draw_picture(
    encoded: Encoded,
    centres: NDArray[np.float64],
    origin: NDArray[np.float64],
    before: Placement | None = None,
) -> Picture:
    """Place the channels by the likeness of their mean features.

    Args:
        encoded: inputs of the training stream.
        centres: mean features of every channel, (K, F).
        origin: mean of every channel's prior, (K, d).
        before: of the same channels or of the first of them, to lie alike with; one of more has no
            say.
    """
    plane = _plane(_centred(encoded, origin))
    if before is None or len(before.anchor) > len(centres):
        anchor = _place(centres, None)
    else:
        old = np.asarray(before.anchor, dtype=np.float64)
        anchor = _turned(_place(centres, _start(centres, old)), old)
        if before.plane.shape == plane.shape:
            plane = plane @ orthogonal_procrustes(plane, before.plane)[0]
    return Picture(anchor, SPREAD * _gap(anchor) * plane, origin)


def _centred(encoded: Encoded, origin: NDArray[np.float64]) -> NDArray[np.floating]:
    """Latent means less their prior's, which would otherwise move a whole channel, (n, d)."""
    return np.asarray(encoded.latent - origin[encoded.channel].astype(np.float32))


def _gap(anchor: NDArray[np.float64]) -> float:
    """Median distance to the nearest other anchor; 1 where there is no other."""
    if len(anchor) < 2:
        return 1.0
    gaps = squareform(pdist(anchor))
    np.fill_diagonal(gaps, np.inf)
    return float(np.median(gaps.min(axis=1)))


def _plane(latent: NDArray[np.floating]) -> NDArray[np.float64]:
    """The latents' first two principal axes at unit variance, (d, 2); one axis where d is 1."""
    count = min(2, latent.shape[1])
    axes = PCA(n_components=count, random_state=0).fit(latent)
    plane = np.zeros((latent.shape[1], 2))
    plane[:, :count] = (
        axes.components_ / np.sqrt(np.maximum(axes.explained_variance_, 1e-12))[:, None]
    ).T
    return plane


def _turned(anchor: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    """Anchors moved, turned and scaled as one so that the first lie where the old ones did, (K, 2).

    Least squares over the similarities of the plane (Schönemann 1966).
    """
    shared = anchor[: len(old)]
    centre, old_centre = shared.mean(axis=0), old.mean(axis=0)
    centred, old_centred = shared - centre, old - old_centre
    turn, scale = orthogonal_procrustes(centred, old_centred)
    factor = scale / max(float((centred**2).sum()), 1e-12)
    return np.asarray(old_centre + factor * (anchor - centre) @ turn)


def _start(centres: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    """The old anchors, and for every channel that is new that of the one most like it, (K, 2)."""
    like = cdist(centres[len(old) :], centres[: len(old)]).argmin(axis=1)
    return np.concatenate([old, old[like] + NUDGE])


def _place(centres: NDArray[np.float64], start: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Anchors in [-1, 1]^2 by t-SNE, which keeps alike channels beside each other.

    A few channels, or channels that are all alike, stand in a row: t-SNE has nothing to go by.

    Args:
        centres: mean features of every channel, (K, F).
        start: where they stood before, (K, 2); without it along the principal axes.
    """
    count = len(centres)
    if count < 4 or float(centres.std(axis=0).max()) < 1e-9:
        return np.stack([np.linspace(-1, 1, count), np.zeros(count)], axis=1)
    perplexity = min(8.0, (count - 1) / 3)
    # Exaggeration would take apart what is placed already.
    fresh = TSNE(perplexity=perplexity, init="pca", random_state=0)
    onward = TSNE(perplexity=perplexity, early_exaggeration=1.0, random_state=0)
    if start is None:
        placed = fresh.fit_transform(centres)
    else:
        placed = onward.set_params(init=_widened(start)).fit_transform(centres)
    low, high = placed.min(axis=0), placed.max(axis=0)
    anchors: NDArray[np.float64] = 2.0 * (placed - low) / np.maximum(high - low, 1e-9) - 1.0
    return anchors


def _widened(start: NDArray[np.float64]) -> NDArray[np.float32]:
    """A start as wide as what t-SNE ends with, so that it goes on from there."""
    return np.asarray(WIDTH * start / max(float(start.std()), 1e-9), dtype=np.float32)
