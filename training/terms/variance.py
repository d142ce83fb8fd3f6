"""A penalty on latents that hardly vary."""

import torch
from torch import Tensor

_TINY = 1e-4


def variance_penalty(latent: Tensor) -> Tensor:
    """Mean over d of max(0, 1 - standard deviation over the batch) of latents (B, d), B > 1.

    Bardes, Ponce and LeCun 2022 (VICReg), equation 1: against a latent that says nothing of x.
    """
    deviation = torch.sqrt(latent.var(dim=0) + _TINY)
    return torch.relu(1.0 - deviation).mean()
