"""Uncertainty of a label in closed form, split into parts that sum.

Channel and label map are the unknowns: c ~ r(x), tau_k ~ Dir(a_k) with a_k = s_k + alpha0, and
y ~ tau_c. Entropies are in nats; docs/math.md has the derivation. This is the reference in
float64; the served graph (`rcmvae.graph`) computes the same and is tested against it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Total and its parts for N inputs, each (N,), in nats.

    Attributes:
        total: H[p(y|x)] under the posterior-mean map.
        aleatoric: expected entropy that would remain if channel and map were known.
        channel_ambiguity: information about y in not knowing the channel.
        label_map_ignorance: information about y in not knowing the map; falls with labels.
    """

    total: NDArray[np.floating]
    aleatoric: NDArray[np.floating]
    channel_ambiguity: NDArray[np.floating]
    label_map_ignorance: NDArray[np.floating]

    @property
    def epistemic(self) -> NDArray[np.floating]:
        """I(y; c, tau | x), the sum of the two parts that knowledge would remove."""
        epistemic: NDArray[np.floating] = self.channel_ambiguity + self.label_map_ignorance
        return epistemic


def entropy(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy over the last axis in nats, with 0 log 0 = 0."""
    q = p.astype(np.float64)
    return np.asarray(-(q * np.log(np.maximum(q, _TINY))).sum(axis=-1))


def decompose(
    responsibilities: NDArray[np.floating],
    tau: NDArray[np.float64],
    expected_entropy: NDArray[np.float64],
) -> Uncertainty:
    """Split the entropy of p(y|x) = sum_k r_k tau_k into its three parts.

    Args:
        responsibilities: r, (N, K), rows sum to one.
        tau: posterior-mean map, (K, C), rows sum to one.
        expected_entropy: E[H(tau_k)] under the Dirichlet posterior, (K,), nats.
    """
    r = responsibilities.astype(np.float64)
    total = entropy(r @ tau)
    conditional = r @ entropy(tau)
    aleatoric = r @ expected_entropy
    # Both differences are non-negative by Jensen's inequality; rounding may say otherwise.
    return Uncertainty(
        total=total,
        aleatoric=aleatoric,
        channel_ambiguity=np.maximum(total - conditional, 0.0),
        label_map_ignorance=np.maximum(conditional - aleatoric, 0.0),
    )
