"""Repulsion between the channel embeddings."""

import torch
from torch import Tensor


def repulsion(embedding: Tensor) -> Tensor:
    """Mean over pairs of exp(-|e_i - e_j|^2 / (2 E)) of embeddings (K, E): 1 where all are equal.

    Zero where there is no pair.
    """
    count, width = embedding.shape
    first, second = torch.triu_indices(count, count, offset=1, device=embedding.device)
    gap = (embedding[first] - embedding[second]).square().sum(dim=1)
    return torch.exp(-gap / (2.0 * width)).sum() / max(1, len(first))
