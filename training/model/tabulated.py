"""A decoder as it is served: what it takes of a channel is looked up.

The scales and shifts of a layer depend on the channel alone. They are a table of K rows then, and
no product for every input.
"""

import copy

from torch import Tensor, nn
from torch.nn import functional as F

from training.model.conditioning import ConcatBlock, ConcatLayer, FilmBlock, FilmLayer
from training.model.decoder import ConvDecoder, MlpDecoder


class TabulatedLayer(nn.Module):
    """A ``FilmLayer`` by channel."""

    def __init__(self, layer: FilmLayer, embedding: Tensor) -> None:
        super().__init__()
        self.dense, self.norm = layer.dense, layer.norm
        self.scale, self.shift = _rows(layer.film, embedding)

    def forward(self, h: Tensor, channel: Tensor) -> Tensor:
        """Map h (B, inputs) under channels (B,) to (B, outputs)."""
        return F.silu(self.scale(channel) * self.norm(self.dense(h)) + self.shift(channel))


class TabulatedBlock(nn.Module):
    """A ``FilmBlock`` by channel."""

    def __init__(self, block: FilmBlock, embedding: Tensor) -> None:
        super().__init__()
        self.convolution, self.norm = block.convolution, block.norm
        self.scale, self.shift = _rows(block.film, embedding)

    def forward(self, h: Tensor, channel: Tensor) -> Tensor:
        """Map h (B, inputs, H, W) under channels (B,) to (B, outputs, H, W)."""
        scale, shift = (of(channel)[:, :, None, None] for of in (self.scale, self.shift))
        return F.silu(scale * self.norm(self.convolution(h)) + shift)


def _rows(film: nn.Linear, embedding: Tensor) -> tuple[nn.Embedding, nn.Embedding]:
    """Scale 1 + gamma and shift beta of every channel, (K, outputs) each."""
    gamma, beta = film(embedding).detach().chunk(2, dim=-1)
    return _table(1 + gamma), _table(beta)


def _table(rows: Tensor) -> nn.Embedding:
    table: nn.Embedding = nn.Embedding.from_pretrained(rows)  # type: ignore[no-untyped-call]
    return table


def tabulated(decoder: MlpDecoder | ConvDecoder) -> tuple[nn.Module, nn.Module]:
    """A decoder, and what it takes of a channel: the channel itself where that can be looked up."""
    served = copy.deepcopy(decoder).eval()
    layers = list(served.named_modules())
    if any(isinstance(layer, ConcatLayer | ConcatBlock) for _, layer in layers):
        return served, served.channel_embedding
    embedding = served.channel_embedding.weight
    for name, layer in layers:
        if isinstance(layer, FilmLayer):
            served.set_submodule(name, TabulatedLayer(layer, embedding))
        elif isinstance(layer, FilmBlock):
            served.set_submodule(name, TabulatedBlock(layer, embedding))
    return served, nn.Identity()
