"""Latent layouts: one latent per channel, or one for all of them."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training.config import ModelConfig


class Layout(Protocol):
    """How the encoder's heads become latents, and what channels share of the noise."""

    @property
    def width(self) -> int:
        """Values that a head of the encoder has to give."""

    def arrange(self, values: Tensor) -> Tensor:
        """A head's values (B, width) as (B, K, d)."""

    def noise(self, mu: Tensor) -> Tensor:
        """Standard normal noise for the latents of M channels, of the shape (B, M, d) of mu."""


@dataclass(frozen=True, slots=True)
class DecentralizedLayout:
    """Every channel has a latent of its own."""

    num_channels: int
    latent_dim: int

    @property
    def width(self) -> int:
        """K d."""
        return self.num_channels * self.latent_dim

    def arrange(self, values: Tensor) -> Tensor:
        """Values (B, K d) as (B, K, d)."""
        return values.view(-1, self.num_channels, self.latent_dim)

    def noise(self, mu: Tensor) -> Tensor:
        """Independent for every channel."""
        return torch.randn_like(mu)


@dataclass(frozen=True, slots=True)
class SharedLayout:
    """One latent z, which every channel decodes in its own way."""

    num_channels: int
    latent_dim: int

    @property
    def width(self) -> int:
        """The latent dimension d."""
        return self.latent_dim

    def arrange(self, values: Tensor) -> Tensor:
        """Values (B, d), the same for all channels: (B, K, d)."""
        return values.unsqueeze(1).expand(-1, self.num_channels, -1)

    def noise(self, mu: Tensor) -> Tensor:
        """One draw for an input: its channels decode the same z."""
        return torch.randn_like(mu[:, :1]).expand_as(mu)


def build_layout(config: ModelConfig, num_channels: int) -> Layout:
    """The layout that the configuration names."""
    kind = SharedLayout if config.layout == "shared" else DecentralizedLayout
    return kind(num_channels, config.latent_dim)
