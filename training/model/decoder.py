"""The decoder: from a latent and a channel to the logits of every input value."""

import torch
from torch import Tensor, nn

from training.config import ModelConfig


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
        return torch.nn.functional.silu((1 + gamma) * self.norm(self.dense(h)) + beta)


class FilmDecoder(nn.Module):
    """A multilayer perceptron with a FiLM layer at every depth."""

    def __init__(self, shape: tuple[int, ...], config: ModelConfig, num_channels: int) -> None:
        super().__init__()
        hidden, embedding_dim = config.decoder_hidden, config.embedding_dim
        self.shape = shape
        self.channel_embedding = nn.Embedding(num_channels, embedding_dim)
        self.first = FilmLayer(config.latent_dim, hidden, embedding_dim)
        self.second = FilmLayer(hidden, hidden, embedding_dim)
        self.out = nn.Linear(hidden, int(torch.Size(shape).numel()))

    def forward(self, z: Tensor, channel: Tensor) -> Tensor:
        """Bernoulli logits (B, *shape) of latent z (B, d) decoded by channel (B,) int64."""
        embedding = self.channel_embedding(channel)
        h = self.second(self.first(z, embedding), embedding)
        logits: Tensor = self.out(h).unflatten(1, self.shape)
        return logits
