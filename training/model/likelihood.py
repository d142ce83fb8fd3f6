"""Likelihoods: how what a channel decodes is compared with the input."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from rcmvae.ood import SMALLEST_SIGMA
from training.config import ModelConfig

LARGEST_SIGMA = 0.5


class Decoded(NamedTuple):
    """What a decoder gives for R latents, before a likelihood reads it.

    Attributes:
        logits: of the mean of every value, (R, *shape).
        spread: unbounded; what sigma is made of, (R, *shape), or one value for an input
            (R, 1, ..., 1); None where the likelihood needs none.
    """

    logits: Tensor
    spread: Tensor | None

    def by_channel(self, count: int) -> "Decoded":
        """Rows of B inputs under ``count`` channels each, as (B, count, ...)."""
        spread = self.spread
        if spread is not None:
            spread = spread.view(-1, count, *spread.shape[1:])
        return Decoded(self.logits.view(-1, count, *self.logits.shape[1:]), spread)


class Likelihood(Protocol):
    """Reads a decoding."""

    def nll(self, decoded: Decoded, x: Tensor) -> Tensor:
        """-log p(x given z, k), (B, M), of M decodings (B, M, *shape) for each x (B, *shape)."""

    def sigma(self, decoded: Decoded) -> Tensor | None:
        """Standard deviation of every value, of the shape of the logits; None for none."""


class BernoulliLikelihood:
    """Independent Bernoulli values; x in [0, 1]."""

    def nll(self, decoded: Decoded, x: Tensor) -> Tensor:
        """See ``bernoulli_nll``."""
        return bernoulli_nll(decoded.logits, x)

    def sigma(self, _: Decoded) -> None:
        """The mean says it all."""


class GaussianLikelihood:
    """Heteroscedastic: mean in (0, 1), sigma in [0.05, 0.5] of the input's or the pixel's own."""

    def nll(self, decoded: Decoded, x: Tensor) -> Tensor:
        """See ``gaussian_nll``."""
        return gaussian_nll(decoded.logits.sigmoid(), self.sigma(decoded), x)

    def sigma(self, decoded: Decoded) -> Tensor:
        """A smooth clamp, so that no gradient dies at a bound.

        Raises:
            ValueError: the decoder gives no spread.
        """
        if decoded.spread is None:
            raise ValueError("spread: expected a tensor, got none")
        share = decoded.spread.sigmoid().expand_as(decoded.logits)
        return SMALLEST_SIGMA + (LARGEST_SIGMA - SMALLEST_SIGMA) * share


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z, c) in nats for logits (..., *shape) and x broadcast to them, summed over shape.

    Args:
        logits: (B, M, *shape).
        x: (B, *shape), values in [0, 1].

    Returns:
        (B, M).
    """
    target = x.unsqueeze(1).expand_as(logits)
    nll = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return nll.flatten(2).sum(dim=2)


def gaussian_nll(mean: Tensor, sigma: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z, c) in nats under N(mean, sigma^2), summed over shape; may be negative.

    Args:
        mean: (B, M, *shape).
        sigma: (B, M, *shape), > 0.
        x: (B, *shape).

    Returns:
        (B, M).
    """
    error = (x.unsqueeze(1) - mean) / sigma
    nll = 0.5 * error.square() + torch.log(sigma) + 0.5 * math.log(2.0 * math.pi)
    return nll.flatten(2).sum(dim=2)


def build_likelihood(config: ModelConfig) -> Likelihood:
    """The likelihood that the configuration names."""
    return GaussianLikelihood() if config.likelihood == "gaussian" else BernoulliLikelihood()
