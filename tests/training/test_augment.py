"""Random affine views."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from training.augment import image_views, views
from training.config import AugmentConfig

MOVED = AugmentConfig(rotation=0.25, scale=0.15, shear=0.2, shift=0.08, elastic=0.0)
STILL = AugmentConfig(rotation=0.0, scale=0.0, shear=0.0, shift=0.0, elastic=0.0)


def batch(seed: int = 0) -> Tensor:
    return torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_without_extents_a_view_is_the_image() -> None:
    torch.testing.assert_close(image_views(batch(), STILL), batch(), atol=1e-5, rtol=0)


def test_views_keep_the_range_and_differ_between_images_and_draws() -> None:
    torch.manual_seed(1)
    x = batch()[:1].expand(64, -1, -1, -1)
    first, second = image_views(x, MOVED), image_views(x, MOVED)
    for view in (first, second):
        assert view.shape == x.shape
        assert 0.0 <= view.min() <= view.max() <= 1.0
    assert not torch.equal(first, second)
    assert (first[1:] != first[:1]).flatten(1).any(dim=1).all()


def centre(x: Tensor) -> Tensor:
    """Centre of mass of every image in pixels, (B, 2), row first."""
    rows, columns = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    mass = x.sum(dim=(2, 3))
    return torch.cat([(x * axis).sum(dim=(2, 3)) / mass for axis in (rows, columns)], dim=1)


def blob(row: int, column: int) -> Tensor:
    """64 images with one bright 3x3 patch."""
    x = torch.zeros(64, 1, 33, 33)
    x[:, :, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    return x


def test_shift_moves_pixels_by_up_to_its_share_of_the_side() -> None:
    torch.manual_seed(2)
    moved = centre(image_views(blob(16, 16), replace(STILL, shift=0.2))) - 16.0
    assert moved.abs().max() <= 0.2 * 33 + 1e-3
    for axis in range(2):
        assert moved[:, axis].max() > 0.15 * 33
        assert moved[:, axis].min() < -0.15 * 33


def test_rotation_keeps_the_distance_from_the_middle() -> None:
    torch.manual_seed(3)
    config = replace(STILL, rotation=0.5)
    offset = centre(image_views(blob(16, 26), config)) - 16.0
    torch.testing.assert_close(offset.norm(dim=1), torch.full((64,), 10.0), atol=0.3, rtol=0)
    angle = torch.atan2(offset[:, 0], offset[:, 1])
    assert angle.abs().max() <= 0.5 + 0.03
    assert angle.max() > 0.35
    assert angle.min() < -0.35


def test_scale_changes_the_distance_from_the_middle_within_its_extent() -> None:
    torch.manual_seed(4)
    config = replace(STILL, scale=0.25)
    distance = (centre(image_views(blob(16, 24), config)) - 16.0).norm(dim=1)
    # The matrix maps the view to the image, so that a factor s shrinks by 1 / s.
    assert distance.max() <= 8 / 0.75 + 0.3
    assert distance.min() >= 8 / 1.25 - 0.3
    assert distance.max() - distance.min() > 2.0


def test_shear_tilts_a_line() -> None:
    torch.manual_seed(5)
    config = replace(STILL, shear=0.4)
    offset = centre(image_views(blob(26, 16), config)) - 16.0
    torch.testing.assert_close(offset[:, 0], torch.full((64,), 10.0), atol=0.3, rtol=0)
    assert offset[:, 1].abs().max() == pytest.approx(4.0, abs=0.5)
    assert math.isclose(float(offset[:, 1].mean()), 0.0, abs_tol=1.5)


def test_an_elastic_view_moves_neighbours_together_and_opposite_corners_apart() -> None:
    torch.manual_seed(6)
    config = replace(STILL, elastic=0.05)
    near = centre(image_views(blob(8, 8), config)) - 8.0
    assert near.std(dim=0).tolist() == pytest.approx([0.05 * 33] * 2, rel=0.5)
    torch.manual_seed(7)
    first = centre(image_views(blob(8, 8), config)) - 8.0
    torch.manual_seed(7)
    beside = centre(image_views(blob(8, 9), config)) - torch.tensor([8.0, 9.0])
    torch.manual_seed(7)
    far = centre(image_views(blob(25, 25), config)) - 25.0

    def correlation(other: Tensor) -> float:
        return float(np.corrcoef(first.flatten().numpy(), other.flatten().numpy())[0, 1])

    assert correlation(beside) > 0.8
    assert abs(correlation(far)) < 0.5


def test_strength_scales_every_extent() -> None:
    config = AugmentConfig(rotation=0.4, scale=0.3, shear=0.2, shift=0.1, elastic=0.04)
    half = AugmentConfig(rotation=0.2, scale=0.15, shear=0.1, shift=0.05, elastic=0.02)
    torch.manual_seed(8)
    weak = image_views(batch(), config, 0.5)
    torch.manual_seed(8)
    torch.testing.assert_close(weak, image_views(batch(), half), atol=1e-5, rtol=0)
    torch.testing.assert_close(image_views(batch(), config, 0.0), batch(), atol=1e-5, rtol=0)


def test_vectors_are_left_alone() -> None:
    x = torch.rand(5, 7)
    assert views(x, AugmentConfig()) is x
