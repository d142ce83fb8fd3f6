"""Random views of a batch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import AugmentConfig


def affine_views(x: Tensor, config: AugmentConfig) -> Tensor:
    """A random affine view of every image: rotation, scale, shear and shift, one draw each.

    Args:
        x: (B, C, H, W), values in [0, 1].
        config: largest extents.

    Returns:
        (B, C, H, W), values in [0, 1].
    """
    grid = F.affine_grid(_affine(x.shape[0], config, x.device), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False).clamp(0.0, 1.0)


def _affine(count: int, config: AugmentConfig, device: torch.device) -> Tensor:
    """Random 2x3 matrices, (count, 2, 3), in the normalised coordinates of the image."""
    draw = torch.rand(5, count, device=device) * 2 - 1
    angle, shear = config.rotation * draw[0], config.shear * draw[1]
    scale = 1.0 + config.scale * draw[2]
    # Normalised coordinates run from -1 to 1: a shift of s sides is 2 s.
    shift = 2.0 * config.shift * draw[3:5]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    top = torch.stack([cos, cos * shear - sin, shift[0]], dim=1)
    bottom = torch.stack([sin, sin * shear + cos, shift[1]], dim=1)
    return torch.stack([top, bottom], dim=1)


def views(x: Tensor, config: AugmentConfig) -> Tensor:
    """Random views of images (B, C, H, W); anything that is no image is returned as it is."""
    return affine_views(x, config) if x.ndim == 4 else x
