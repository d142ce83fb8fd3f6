"""Peakiness of the channel logits."""

import math

import torch
from torch import Tensor


def logit_mixture_nll(logits: Tensor, peak: float) -> Tensor:
    """-log of the density of logits under (1/K) sum_k N(M e_k, I) in nats, batch mean.

    e_k are the unit vectors of the logit space: every input is drawn to one channel's corner.

    Args:
        logits: (B, K).
        peak: M, distance of the centres from the origin.
    """
    count = logits.shape[1]
    # |a - M e_k|^2 = |a|^2 - 2 M a_k + M^2
    square = logits.square().sum(dim=1)
    overlap = torch.logsumexp(peak * logits, dim=1) - math.log(count)
    constant = 0.5 * (peak**2 + count * math.log(2.0 * math.pi))
    return (0.5 * square - overlap).mean() + constant
