"""Question 2: is an input held by channels that labels speak for?

Responsibility and tau alone cannot tell a rare style of a labelled class from a class without
labels: both fill channels without evidence. The channels' neighbours can. So every channel starts
a random walk over the channels, along the affinity of the training stream in feature space. At a
channel with evidence s_k the walk stops, with probability s_k / (s_k + c / (1 - g)); between steps
it dies with probability 1 - g. The ownership o_k is the chance that it stops before it dies (an
absorbing random walk; Zhu, Ghahramani and Lafferty 2003, with killing).

A channel that lies by itself keeps the walk, which asks it for its evidence at every step,
1 / (1 - g) times if nothing stops it. The factor makes up for that: such a channel is owned by
s_k / (s_k + c). docs/decisions/0004-ownership.md and 0019-open-set.md have what was tried.
"""

import numpy as np
from numpy.typing import NDArray

from rcmvae.walk import SURVIVAL, absorbed, steps

OWNERSHIP_TEMPERATURE = 3.0
"""Divides the logits before the softmax of this score: it softens a routing that is too sure."""


def channel_ownership(
    affinity: NDArray[np.float64], evidence: NDArray[np.float64], half: float
) -> NDArray[np.float64]:
    """Chance o_k that a walk from each channel stops at a labelled one, (K,), within [0, 1].

    Solves o = s / (s + c') + g c' / (s + c') P o with c' = c / (1 - g) and P the affinity's rows
    scaled to sum to one. A channel without affinity to any, not even to itself, lies by itself.

    Args:
        affinity: non-negative affinity of the channels, symmetric, (K, K).
        evidence: labelled mass s of every channel, (K,), in examples.
        half: c > 0, the evidence at which a channel by itself is owned by one half.
    """
    a_visit = half / (1.0 - SURVIVAL)
    stop = evidence / (evidence + a_visit)
    step = steps(affinity + np.diag(affinity.sum(axis=1) == 0.0))
    return np.clip(absorbed(step, evidence, a_visit, stop), 0.0, 1.0)


def ownership_score(
    responsibilities: NDArray[np.floating], ownership: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Score of question 2: 1 - sum_k r_k o_k, (N,), higher is less owned.

    Args:
        responsibilities: r at OWNERSHIP_TEMPERATURE, (N, K).
        ownership: o, (K,).
    """
    owned: NDArray[np.float64] = responsibilities.astype(np.float64) @ ownership
    return 1.0 - owned
