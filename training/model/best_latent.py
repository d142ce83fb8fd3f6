"""The moments of the best channel as they are served, without those of the other channels.

Scores and decoder read one channel's. Its rows of both heads are looked up, so that an input costs
2 d F multiplications and not K times as many.
"""

import torch
from torch import Tensor, nn

from training.model.encoder import Encoder, bounded_logvar
from training.model.layout import DecentralizedLayout


class BestLatent(nn.Module):
    """Both heads of an encoder whose channels have latents of their own; to be exported only."""

    weight: Tensor
    bias: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        layout, heads = encoder.layout, (encoder.mu_head, encoder.logvar_head)
        weights = [layout.arrange(head.weight.detach().T).permute(1, 2, 0) for head in heads]
        biases = [layout.arrange(head.bias.detach()[None])[0] for head in heads]
        self.register_buffer("weight", torch.cat(weights, dim=1).contiguous())
        self.register_buffer("bias", torch.cat(biases, dim=1).contiguous())

    def forward(self, features: Tensor, channel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (B, d) each, of features (B, F) under channels (B,)."""
        rows = torch.index_select(self.weight, 0, channel)
        values = torch.bmm(rows, features.unsqueeze(2)).squeeze(2)
        mu, logvar = (values + torch.index_select(self.bias, 0, channel)).chunk(2, dim=1)
        return mu, bounded_logvar(logvar)


def best_latent(encoder: Encoder) -> BestLatent | None:
    """The module; None where all channels share one latent and nothing is to be looked up."""
    return BestLatent(encoder) if isinstance(encoder.layout, DecentralizedLayout) else None
