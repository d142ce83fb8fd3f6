"""Label spreading over channels: what a channel without evidence is presumed to hold.

Styles that no labelled example shows, such as a one with a foot, get channels of their own, and
the map would have nothing to say of them. But the inputs that look most like theirs often lie in a
channel that labels do speak for. So a channel's Dirichlet floor is not spread evenly over the
labels: a walk leaves the channel along that resemblance and stops at channels with evidence, as in
`rcmvae.ownership`; the floor follows the labels at which it stops (an absorbing random walk, Zhu,
Ghahramani and Lafferty 2003). A channel mostly holds one label, so that where the walks stop is
less a mixture than a vote: the shares are raised to a power. The floor's mass stays alpha0 per
label: it decides where there is no evidence and fades where there is, and a channel without
evidence is still free.
"""

import numpy as np
from numpy.typing import NDArray

from rcmvae.walk import absorbed, steps

HALF = 0.5
"""Evidence, in examples, at which a walk stops with probability one half."""

VOTES = 2.0
"""The power: for how many independent votes one walk counts. Chosen on held-out labels
(docs/decisions/0009-calibration.md)."""


def spread_labels(
    resemblance: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What each channel is presumed to hold, (K, C), positive, rows sum to one.

    The share of each label among the walks from the channel, to the power of VOTES. A walk that
    dies before it stops says nothing: its share is even over the labels.

    Args:
        resemblance: how much channels look like each other, non-negative, (K, K); the diagonal is
            ignored.
        counts: soft label counts s, (K, C), in examples.
    """
    step = steps(resemblance - np.diag(np.diag(resemblance)))
    evidence = counts.sum(axis=1)
    # Of the walks at a channel, those that stop, by label: s_ky / (s_k + c).
    reached = absorbed(step, evidence, HALF, counts / (evidence[:, None] + HALF))
    spread = np.clip(step @ reached, 0.0, 1.0)
    lost = np.clip(1.0 - spread.sum(axis=1, keepdims=True), 0.0, 1.0)
    votes = (spread + lost / counts.shape[1]) ** VOTES
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))
