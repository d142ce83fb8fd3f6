"""Random views of a batch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import AugmentConfig


def image_views(x: Tensor, config: AugmentConfig, strength: float = 1.0) -> Tensor:
    """A random view of every image: an affine map and an elastic displacement, one draw each.

    Args:
        x: (B, C, H, W), values in [0, 1].
        config: largest extents.
        strength: share of the extents that is used, at least 0.

    Returns:
        (B, C, H, W), values in [0, 1].
    """
    drawn = _affine(x.shape[0], config, strength, x.device)
    grid = F.affine_grid(drawn, list(x.shape), align_corners=False)
    if config.elastic and strength:
        grid = grid + _displacement(x, strength * config.elastic, config.elastic_points)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False).clamp(0.0, 1.0)


def _affine(count: int, config: AugmentConfig, strength: float, device: torch.device) -> Tensor:
    """Random 2x3 matrices, (count, 2, 3), in the normalised coordinates of the image."""
    draw = strength * (torch.rand(5, count, device=device) * 2 - 1)
    angle, shear = config.rotation * draw[0], config.shear * draw[1]
    scale = 1.0 + config.scale * draw[2]
    # Normalised coordinates run from -1 to 1: a shift of s sides is 2 s.
    shift = 2.0 * config.shift * draw[3:5]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    top = torch.stack([cos, cos * shear - sin, shift[0]], dim=1)
    bottom = torch.stack([sin, sin * shear + cos, shift[1]], dim=1)
    return torch.stack([top, bottom], dim=1)


def _displacement(x: Tensor, extent: float, points: int) -> Tensor:
    """Smooth random displacements, (B, H, W, 2), in normalised coordinates.

    Normal draws on a coarse grid of points, in between by bicubic interpolation: the elastic
    distortion of Simard, Steinkraus and Platt 2003 without its convolution over every pixel.

    Args:
        x: images, (B, C, H, W).
        extent: standard deviation at the points, as a share of the image's side.
        points: of the coarse grid along each axis.
    """
    drawn = 2.0 * extent * torch.randn(x.shape[0], 2, points, points, device=x.device)
    field = F.interpolate(drawn, size=x.shape[2:], mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def views(x: Tensor, config: AugmentConfig, strength: float = 1.0) -> Tensor:
    """Random views of images (B, C, H, W); anything that is no image is returned as it is."""
    return image_views(x, config, strength) if x.ndim == 4 else x
