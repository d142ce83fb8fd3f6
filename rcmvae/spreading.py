"""Label spreading over channels: what a channel without evidence is presumed to hold.

Styles that no labelled example shows, such as a one with a foot, get channels of their own, and
the map would have nothing to say of them. But the inputs that look most like theirs often lie in a
channel that labels do speak for. So a channel's Dirichlet floor is not spread evenly over the
labels: a walk leaves the channel along that resemblance and stops at channels with evidence, as in
`rcmvae.ownership`; the floor follows the labels at which it stops (an absorbing random walk, Zhu,
Ghahramani and Lafferty 2003). The floor's mass stays alpha0 per label: it decides where there is
no evidence and fades where there is, and a channel without evidence is still free.
"""

import numpy as np
from numpy.typing import NDArray

HALF = 0.5
"""Evidence, in examples, at which a walk stops with probability one half."""

SURVIVAL = 0.9
"""The chance that the walk goes on living from one step to the next."""

_TINY = 1e-12


def spread_labels(
    resemblance: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Labels at which a walk from each channel stops, (K, C), positive, rows sum to one.

    A walk that dies before it stops says nothing: its share is even over the labels.

    Args:
        resemblance: how much channels look like each other, non-negative, (K, K); the diagonal is
            ignored.
        counts: soft label counts s, (K, C), in examples.
    """
    away = resemblance - np.diag(np.diag(resemblance))
    step = SURVIVAL * away / np.maximum(away.sum(axis=1, keepdims=True), _TINY)
    evidence = counts.sum(axis=1, keepdims=True)
    # Of the walks at a channel, those that stop, by label: s_ky / (s_k + c).
    stopping = counts / (evidence + HALF)
    going_on = HALF / (evidence + HALF)
    reached = np.linalg.solve(np.eye(len(counts)) - going_on * step, stopping)
    spread = np.clip(step @ reached, 0.0, 1.0)
    lost = np.clip(1.0 - spread.sum(axis=1, keepdims=True), 0.0, 1.0)
    total = spread + lost / counts.shape[1]
    return np.asarray(total / total.sum(axis=1, keepdims=True))
