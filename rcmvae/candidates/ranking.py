"""Strategies that score every input by itself: how much is there to learn from its label?"""

import numpy as np
from numpy.typing import NDArray

from rcmvae.candidates.pool import Pool, softened
from rcmvae.uncertainty import entropy


def entropy_score(pool: Pool) -> NDArray[np.float64]:
    """H[p(y|x)] in nats, (N,)."""
    return entropy(pool.probabilities)


def margin_score(pool: Pool) -> NDArray[np.float64]:
    """1 - (p_1 - p_2), (N,): how near the second most probable label comes to the first."""
    if pool.probabilities.shape[1] < 2:
        return np.zeros(len(pool))
    highest = np.partition(pool.probabilities, -2, axis=1)[:, -2:]
    return np.asarray(1.0 - (highest[:, 1] - highest[:, 0]))


def epistemic_score(pool: Pool) -> NDArray[np.float64]:
    """I(y; c, tau | x) in nats, (N,): doubt that knowing channel and map would remove."""
    return pool.epistemic


def disagreement_score(pool: Pool) -> NDArray[np.float64]:
    """How far the channels that could hold an input disagree about its label, in nats, (N,).

    sum_k r_k KL(tau_k || sum_j r_j tau_j) with r softened: the channels are a committee, the map is
    how they vote, and this is the mean divergence of a vote from the verdict (McCallum and
    Nigam 1998).
    """
    r = softened(pool.responsibilities)
    return np.maximum(entropy(r @ pool.tau) - r @ entropy(pool.tau), 0.0)


def ood_score(pool: Pool) -> NDArray[np.float64]:
    """-log p_familiar - log p_owned, (N,): Fisher's sum over the two questions."""
    return np.asarray(-np.log(pool.p_familiar) - np.log(pool.p_owned))
