"""Prior shaping: the distance of a sample of latents from the prior."""

import math

import torch
from torch import Tensor


def discrepancy(z: Tensor) -> Tensor:
    """Squared maximum mean discrepancy between a sample z (B, d), B > 1, and N(0, I).

    Gretton et al. 2012, equation 3, with the Gaussian kernel exp(-|a - b|^2 / (2 h)), h = 2 d. The
    two expectations over the prior are in closed form, so that only z is a sample; unbiased, so it
    may be slightly negative.
    """
    count, width = z.shape
    h = 2.0 * width
    gap = (z.unsqueeze(1) - z.unsqueeze(0)).square().sum(dim=2)
    kernel = torch.exp(-gap / (2.0 * h))
    within = (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))
    shrink = math.pow(h / (h + 1.0), width / 2)
    across = shrink * torch.exp(-z.square().sum(dim=1) / (2.0 * (h + 1.0))).mean()
    prior = math.pow(h / (h + 2.0), width / 2)
    return within - 2.0 * across + prior
