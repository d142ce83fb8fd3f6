"""Conditioning: how a channel's embedding e_k steers a layer of the decoder."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Conditioning = Literal["film", "concat", "cin"]


class FilmLayer(nn.Module):
    """A dense layer whose units are scaled and shifted by the channel's embedding.

    h' = (1 + gamma(e_k)) * h + beta(e_k), after Perez et al. 2018.
    """

    def __init__(self, inputs: int, outputs: int, embedding_dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs, elementwise_affine=False)
        self.film = nn.Linear(embedding_dim, 2 * outputs)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Map h (B, inputs) under embedding (B, E) to (B, outputs)."""
        gamma, beta = self.film(embedding).chunk(2, dim=-1)
        return F.silu((1 + gamma) * self.norm(self.dense(h)) + beta)


class ConcatLayer(nn.Module):
    """A dense layer that sees the channel's embedding as more inputs."""

    def __init__(self, inputs: int, outputs: int, embedding_dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs + embedding_dim, outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Map h (B, inputs) under embedding (B, E) to (B, outputs)."""
        return F.silu(self.norm(self.dense(torch.cat([h, embedding], dim=-1))))


class FilmBlock(nn.Module):
    """A convolution whose maps are scaled and shifted by the channel's embedding.

    With one group of all maps it is FiLM (Perez et al. 2018); with every map a group of its own it
    is conditional instance normalisation (Dumoulin et al. 2017).
    """

    def __init__(self, inputs: int, outputs: int, embedding_dim: int, groups: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(groups, outputs, affine=False)
        self.film = nn.Linear(embedding_dim, 2 * outputs)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Map h (B, inputs, H, W) under embedding (B, E) to (B, outputs, H, W)."""
        gamma, beta = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        return F.silu((1 + gamma) * self.norm(self.convolution(h)) + beta)


class ConcatBlock(nn.Module):
    """A convolution that sees the channel's embedding as more maps, constant over the image."""

    def __init__(self, inputs: int, outputs: int, embedding_dim: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs + embedding_dim, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(1, outputs)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Map h (B, inputs, H, W) under embedding (B, E) to (B, outputs, H, W)."""
        maps = embedding[:, :, None, None].expand(-1, -1, *h.shape[2:])
        return F.silu(self.norm(self.convolution(torch.cat([h, maps], dim=1))))


def dense_layer(kind: Conditioning, inputs: int, outputs: int, embedding_dim: int) -> nn.Module:
    """A dense layer under ``film`` or ``concat``; ``cin`` needs an image to normalise over."""
    layer = ConcatLayer if kind == "concat" else FilmLayer
    return layer(inputs, outputs, embedding_dim)


def conv_block(kind: Conditioning, inputs: int, outputs: int, embedding_dim: int) -> nn.Module:
    """A convolution under any conditioning."""
    if kind == "concat":
        return ConcatBlock(inputs, outputs, embedding_dim)
    return FilmBlock(inputs, outputs, embedding_dim, groups=outputs if kind == "cin" else 1)
