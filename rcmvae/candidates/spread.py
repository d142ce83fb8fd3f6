"""Strategies that look at an input beside what is labelled or chosen already."""

import numpy as np
from numpy.typing import NDArray

from rcmvae.candidates.pool import Pool
from rcmvae.candidates.ranking import entropy_score
from rcmvae.spreading import HALF

MOST_OF_CHANNEL = 512
"""Inputs of a channel among which its representatives are sought: the first by key."""

_AT_ONCE = 256
"""Labelled inputs whose distances to the whole pool are in memory together."""

Chosen = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Rows in the order of the choice, and the score of each when it was chosen."""


def diverse(pool: Pool, count: int) -> Chosen:
    """Doubtful inputs that lie apart: the greatest H[p(y|x)] p_familiar d^2 first, one by one.

    d is the distance in the latent space to the nearest input that is labelled or was chosen before
    (farthest-point traversal, Gonzalez 1985, weighed by doubt as k-means++ is by distance in
    BADGE, Ash et al. 2020). What is unlike anything lies far from everything; its p-value holds it
    back.
    """
    weight = (entropy_score(pool) + np.finfo(np.float64).eps) * pool.p_familiar
    weight[pool.labelled] = -1.0
    distance = _to_nearest(pool.latent, pool.latent[pool.labelled])
    rows, scores = [], []
    for _ in range(count):
        # Where there is nothing to be far from, doubt alone decides.
        apart = np.where(np.isinf(distance), 1.0, distance)
        score = np.where(weight < 0.0, -1.0, weight * apart)
        row = int(score.argmax())
        rows.append(row)
        scores.append(score[row])
        weight[row] = -1.0
        distance = np.minimum(distance, _squared(pool.latent, pool.latent[row]))
    return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float64)


def representatives(pool: Pool, count: int) -> Chosen:
    """One typical input of a channel at a time, of the channel that most inputs wait for.

    The channel is the one with the greatest u_k c / (s_k + c): its share of the pool times the
    chance that a walk at it does not stop (`rcmvae.spreading`), which is 1 without evidence. The
    input is the one that leaves the channel's inputs the least distance to a labelled or chosen one
    (the build step of k-medoids, Kaufman and Rousseeuw 1990): first its medoid, then another style.
    The choice counts as evidence for the next.
    """
    return _one_a_channel(pool, count, np.ones(len(pool)))


def unowned(pool: Pool, count: int) -> Chosen:
    """Representatives of what no label owns: an input counts -log p_owned instead of one.

    In a channel the input is sought among the half that is owned least. What is merely odd does not
    stand for many, and what stands for many is mostly owned: a class that is new is both. Where all
    is owned alike, as before the first label, these are the representatives.
    """
    return _one_a_channel(pool, count, np.finfo(np.float64).eps - np.log(pool.p_owned))


def _one_a_channel(pool: Pool, count: int, weight: NDArray[np.float64]) -> Chosen:
    """One input at a time, of the channel whose weight u_k labels speak least for.

    Args:
        pool: to choose from.
        count: at most as many as carry no label.
        weight: of every input, non-negative, (N,).
    """
    channel, evidence = pool.channel, pool.evidence.astype(np.float64).copy()
    usage = np.bincount(channel, weights=weight, minlength=evidence.size) / len(pool)
    waiting = ~pool.labelled
    covered = pool.labelled.copy()
    rows, scores = [], []
    for _ in range(count):
        has_any = np.bincount(channel[waiting], minlength=evidence.size) > 0
        need = np.where(has_any, usage * HALF / (evidence + HALF), -1.0)
        k = int(need.argmax())
        here = channel == k
        heavy = weight >= np.median(weight[here & waiting])
        members = np.flatnonzero(here & (heavy | covered))
        row = _most_typical(pool.latent, members, waiting, covered)
        rows.append(row)
        scores.append(need[k])
        waiting[row], covered[row] = False, True
        evidence += pool.responsibilities[row]
    return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float64)


def _most_typical(
    latent: NDArray[np.float64],
    members: NDArray[np.int64],
    waiting: NDArray[np.bool_],
    covered: NDArray[np.bool_],
) -> int:
    """The waiting member after whose choice the members' distances to the covered sum to least."""
    candidates = members[waiting[members]][:MOST_OF_CHANNEL]
    points = latent[members[:MOST_OF_CHANNEL]]
    distance = np.sqrt(_between(latent[candidates], points))
    near = members[covered[members]]
    if near.size:
        least = np.sqrt(_between(latent[near], points)).min(axis=0)
        distance = np.minimum(distance, least)
    # Rounding must not decide between candidates that are as good: the lower key does.
    return int(candidates[np.round(distance.mean(axis=1), 9).argmin()])


def _to_nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of points (N, D) to the nearest of others, (N,); infinite for none."""
    least = np.full(len(points), np.inf)
    for start in range(0, len(others), _AT_ONCE):
        part = _between(points, others[start : start + _AT_ONCE])
        least = np.minimum(least, part.min(axis=1))
    return least


def _squared(points: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances of points (N, D) from one, (N,)."""
    return np.asarray(np.square(points - point).sum(axis=1))


def _between(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances between two sets of points, (n, m)."""
    square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * a @ b.T
    return np.asarray(np.maximum(square, 0.0))
