"""Supervised contrastive loss on the latents."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_latent(responsibilities: Tensor, mu: Tensor) -> Tensor:
    """E[z given x] = sum_k r_k mu_k, (B, d), of r (B, K) and mu (B, K, d)."""
    return torch.einsum("bk,bkd->bd", responsibilities, mu)


def supervised_contrastive(latent: Tensor, label: Tensor, temperature: float) -> Tensor:
    """Pull latents of a label together and push others apart, in nats.

    Khosla et al. 2020, equation 2 (L_out), over cosines; the mean over those inputs that have
    another one of their label in the batch, zero where none has.

    Args:
        latent: (B, d).
        label: (B,) int64.
        temperature: divides the cosines.
    """
    unit = F.normalize(latent, dim=1)
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    log_share = (similarity - similarity.logsumexp(dim=1, keepdim=True)).masked_fill(itself, 0.0)
    positive = (label.unsqueeze(0) == label.unsqueeze(1)) & ~itself
    count = positive.sum(dim=1)
    own = -(log_share * positive).sum(dim=1) / count.clamp_min(1)
    return own.sum() / (count > 0).sum().clamp_min(1)
