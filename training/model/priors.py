"""Priors: of the latent given its channel, and of the channel.

Every prior of a latent is one diagonal Gaussian per channel, so that all have a KL in closed form.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from training.config import ModelConfig
from training.model.encoder import Encoding

Encode = Callable[[Tensor], Encoding]


class Moments(NamedTuple):
    """p(z given k) = N(mean_k, diag exp logvar_k), each (K, d)."""

    mean: Tensor
    logvar: Tensor


class LatentPrior(Protocol):
    """Gives the moments of p(z given k) for every channel."""

    def moments(self, encode: Encode) -> Moments:
        """Of every channel; ``encode`` is the network's encoder of scaled inputs."""


class StandardPrior(nn.Module):
    """N(0, I) for every channel."""

    zeros: Tensor

    def __init__(self, num_channels: int, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("zeros", torch.zeros(num_channels, latent_dim), persistent=False)

    def moments(self, _: Encode) -> Moments:
        """Zero and zero."""
        return Moments(self.zeros, self.zeros)


class MixturePrior(nn.Module):
    """N(m_k, I) with learned m_k: the place of a latent says something about its channel."""

    def __init__(self, num_channels: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.randn(num_channels, latent_dim))

    def moments(self, _: Encode) -> Moments:
        """The learned means, unit variance."""
        return Moments(self.mean, torch.zeros_like(self.mean))


class VampPrior(nn.Module):
    """q(z_k given u_k) with one learned pseudo-input u_k per channel.

    Tomczak and Welling 2018. Their mixture over pseudo-inputs is here the mixture over channels.
    """

    def __init__(self, shape: tuple[int, ...], num_channels: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(num_channels, *shape))

    def moments(self, encode: Encode) -> Moments:
        """What the encoder says of each channel's own pseudo-input."""
        encoding = encode(self.pseudo_inputs())
        own = torch.arange(len(self.logits), device=self.logits.device)
        return Moments(encoding.mu[own, own], encoding.logvar[own, own])

    def pseudo_inputs(self) -> Tensor:
        """The pseudo-inputs (K, *shape), in (0, 1)."""
        return self.logits.sigmoid()

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Begin at real, scaled inputs x, (n, *shape), drawn with replacement where n < K."""
        count = len(self.logits)
        pick = torch.randperm(len(x))[:count]
        if len(pick) < count:
            pick = torch.randint(len(x), (count,))
        self.logits.copy_(torch.logit(x[pick], eps=0.02))


class GeometricPrior(nn.Module):
    """N(m_k, I) with fixed centres in the plane of the first two latent dimensions."""

    centres: Tensor

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres, persistent=False)

    def moments(self, _: Encode) -> Moments:
        """The fixed centres, unit variance."""
        return Moments(self.centres, torch.zeros_like(self.centres))


def circle(num_channels: int, latent_dim: int, radius: float) -> Tensor:
    """Centres (K, d) evenly on a circle around the origin."""
    angle = torch.arange(num_channels) * (2.0 * math.pi / num_channels)
    return _in_plane(radius * torch.stack([angle.cos(), angle.sin()], dim=1), latent_dim)


def grid(num_channels: int, latent_dim: int, spacing: float) -> Tensor:
    """Centres (K, d) row by row on a square grid around the origin."""
    side = math.ceil(math.sqrt(num_channels))
    place = torch.arange(num_channels)
    points = torch.stack([place % side, place // side], dim=1).float()
    return _in_plane(spacing * (points - points.mean(dim=0)), latent_dim)


def _in_plane(points: Tensor, latent_dim: int) -> Tensor:
    return torch.nn.functional.pad(points, (0, latent_dim - 2))


class UniformPi(nn.Module):
    """Every channel has the prior weight 1 / K."""

    log_uniform: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        value = torch.full((num_channels,), -math.log(num_channels))
        self.register_buffer("log_uniform", value, persistent=False)

    def forward(self) -> Tensor:
        """The logarithm of pi, (K,)."""
        return self.log_uniform


class LearnablePi(nn.Module):
    """Learned prior weights of the channels; uniform at the start."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_channels))

    def forward(self) -> Tensor:
        """The logarithm of pi, (K,)."""
        return self.logits.log_softmax(dim=0)


def build_prior(shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> LatentPrior:
    """The prior on z that the configuration names."""
    if config.prior == "mixture":
        return MixturePrior(num_channels, config.latent_dim)
    if config.prior == "vamp":
        return VampPrior(shape, num_channels)
    if config.prior == "geometric":
        centres = circle if config.centres == "circle" else grid
        return GeometricPrior(centres(num_channels, config.latent_dim, config.centre_distance))
    return StandardPrior(num_channels, config.latent_dim)


def build_pi(config: ModelConfig, num_channels: int) -> UniformPi | LearnablePi:
    """The prior on c that the configuration names."""
    kind = LearnablePi if config.channel_prior == "learnable" else UniformPi
    return kind(num_channels)


def standardised(mu: Tensor, logvar: Tensor, prior: Moments) -> Moments:
    """A Gaussian in the coordinates in which its prior is N(0, I); the KL does not change.

    Args:
        mu: means, (..., d).
        logvar: log-variances, (..., d).
        prior: moments that broadcast to them.
    """
    scale = torch.exp(0.5 * prior.logvar)
    return Moments((mu - prior.mean) / scale, logvar - prior.logvar)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, diag exp logvar) || N(0, I)) in nats over the last axis (Kingma 2014, app. B)."""
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).sum(dim=-1)


def latent_kl(mu: Tensor, logvar: Tensor, prior: Moments) -> Tensor:
    """KL(N(mu, diag exp logvar) || p(z given k)) in nats over the last axis; shapes broadcast."""
    return gaussian_kl(*standardised(mu, logvar, prior))
