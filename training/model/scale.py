"""The first layer of a network over vectors: rcmvae/scaling.py in torch."""

import torch
from torch import Tensor, nn

from rcmvae.scaling import HIGHEST, LOWEST, Scaling


class Scale(nn.Module):
    """Raw features in units of their width. Its buffers travel with the weights."""

    centre: Tensor
    width: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.register_buffer("centre", torch.from_numpy(scaling.centre))
        self.register_buffer("width", torch.from_numpy(scaling.width))

    def forward(self, x: Tensor) -> Tensor:
        """Raw features (B, F), cut to [LOWEST, HIGHEST]."""
        return ((x - self.centre) / self.width + 0.5).clamp(LOWEST, HIGHEST)


def build_scale(scaling: Scaling | None) -> nn.Module:
    """The layer; nothing for inputs that need none."""
    return nn.Identity() if scaling is None else Scale(scaling)
