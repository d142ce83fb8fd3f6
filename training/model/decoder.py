"""Decoders: from a latent and a channel to what the likelihood reads."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from rcmvae.errors import InvalidInput
from training.config import ModelConfig
from training.model.conditioning import Conditioning, conv_block, dense_layer
from training.model.likelihood import Decoded


class MlpDecoder(nn.Module):
    """A multilayer perceptron, conditioned at every depth."""

    def __init__(self, shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> None:
        super().__init__()
        hidden, embedding_dim = config.decoder_hidden, config.embedding_dim
        size = int(torch.Size(shape).numel())
        self.shape = shape
        self.channel_embedding = nn.Embedding(num_channels, embedding_dim)
        self.first = dense_layer(config.conditioning, config.latent_dim, hidden, embedding_dim)
        self.second = dense_layer(config.conditioning, hidden, hidden, embedding_dim)
        self.out = nn.Linear(hidden, size)
        self.spread_shape = shape if config.sigma == "pixel" else (1,) * len(shape)
        self.spread = None
        if config.likelihood == "gaussian":
            self.spread = nn.Linear(hidden, int(torch.Size(self.spread_shape).numel()))

    def forward(self, z: Tensor, embedding: Tensor) -> Decoded:
        """Decode latents z (B, d) under embeddings (B, E)."""
        h = self.second(self.first(z, embedding), embedding)
        spread = None if self.spread is None else self.spread(h).unflatten(1, self.spread_shape)
        return Decoded(self.out(h).unflatten(1, self.shape), spread)


class ConvDecoder(nn.Module):
    """A dense layer onto a small image, then up-scaled and convolved, conditioned at every depth.

    The mirror of the convolutional encoder: as many steps of two, and the same widths.
    """

    def __init__(self, shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> None:
        super().__init__()
        maps, embedding_dim, kind = config.filters, config.embedding_dim, config.conditioning
        sides = _sides(shape[1:])
        self.channel_embedding = nn.Embedding(num_channels, embedding_dim)
        self.start = (2 * maps, *sides[0])
        start_size = int(torch.Size(self.start).numel())
        self.dense = dense_layer(_dense_kind(kind), config.latent_dim, start_size, embedding_dim)
        self.scales = nn.ModuleList(nn.Upsample(size=side) for side in sides[1:])
        widths = [2 * maps] * (len(sides) - 1) + [maps]
        self.blocks = nn.ModuleList(
            conv_block(kind, a, b, embedding_dim) for a, b in pairwise(widths)
        )
        self.out = nn.Conv2d(maps, shape[0], 3, padding=1)
        self.spread = None
        if config.likelihood == "gaussian":
            self.spread = _spread_head(config, maps, shape[0])

    def forward(self, z: Tensor, embedding: Tensor) -> Decoded:
        """Decode latents z (B, d) under embeddings (B, E)."""
        h = self.dense(z, embedding).unflatten(1, self.start)
        for scale, block in zip(self.scales, self.blocks, strict=True):
            h = block(scale(h), embedding)
        return Decoded(self.out(h), None if self.spread is None else self.spread(h))


def _dense_kind(kind: Conditioning) -> Conditioning:
    """The small image is made by a dense layer, which has no instance to normalise over."""
    return "concat" if kind == "concat" else "film"


def _sides(full: tuple[int, ...]) -> list[tuple[int, int]]:
    """Heights and widths from the smallest image to the full one."""
    height, width = full
    steps = 1 if min(full) < 12 else 2
    return [(-(-height // 2**n), -(-width // 2**n)) for n in range(steps, -1, -1)]


def _spread_head(config: ModelConfig, maps: int, colours: int) -> nn.Module:
    """From maps (B, maps, H, W) to (B, colours, H, W), or to (B, 1, 1, 1)."""
    if config.sigma == "pixel":
        return nn.Conv2d(maps, colours, 3, padding=1)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(maps, 1, 1))


def build_decoder(
    shape: tuple[int, ...], config: ModelConfig, num_channels: int
) -> MlpDecoder | ConvDecoder:
    """The decoder that the configuration names.

    Raises:
        InvalidInput: a convolutional decoder for inputs that are no images.
    """
    if config.decoder == "mlp":
        return MlpDecoder(shape, config, num_channels)
    if len(shape) != 3:
        raise InvalidInput("model.decoder", f"'mlp' for inputs of shape {shape}", "'conv'")
    return ConvDecoder(shape, config, num_channels)
