"""Group normalisation as it is served: its scale and shift are a convolution of each map alone.

ONNX Runtime multiplies and adds maps in a layout of their own, one operator each; a convolution
computes in the layout of its neighbours and takes the activation with it.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rcmvae.graph_text import OPSET
from training.model.encoder import Encoder


class ServedNorm(nn.GroupNorm):
    """A ``GroupNorm`` of maps (B, M, H, W) with the same parameters; to be exported only."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.GroupNorm
        """Normalise, then scale and shift."""
        groups = input.reshape(input.shape[0], self.num_groups, -1)
        ones = torch.ones(self.num_groups)
        # F.group_norm without scale and shift is exported with a product and a sum all the same.
        normal = torch.onnx.ops.symbolic(
            "InstanceNormalization",
            (groups, ones, torch.zeros_like(ones)),
            {"epsilon": self.eps},
            dtype=groups.dtype,
            shape=groups.shape,
            version=OPSET,
        )
        maps = normal.reshape(input.shape)
        return F.conv2d(maps, self.weight[:, None, None, None], self.bias, groups=len(self.bias))


def with_served_norms(encoder: Encoder) -> Encoder:
    """A copy whose group normalisations are served ones."""
    served = copy.deepcopy(encoder)
    for name, layer in list(served.named_modules()):
        if isinstance(layer, nn.GroupNorm):
            norm = ServedNorm(layer.num_groups, layer.num_channels, layer.eps)
            norm.load_state_dict(layer.state_dict())
            served.set_submodule(name, norm)
    return served
