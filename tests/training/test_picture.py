"""The 2-D picture."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.scores_graph import Placement
from training.encode import Encoded
from training.picture import SPREAD, _place, draw_picture


def clouds(channels: int, count: int = 200, latent: int = 3) -> tuple[Encoded, NDArray[np.float64]]:
    """Channels whose mean features come in pairs: 0 and 1 are alike, 2 and 3, and so on."""
    rng = np.random.default_rng(0)
    centres = 20 * np.eye(channels)[np.arange(channels) // 2] + 0.1 * rng.normal(
        size=(channels, channels)
    )
    channel = np.arange(count) % channels
    logits = np.eye(channels, dtype=np.float32)[channel]
    mu = rng.normal(size=(count, channels, latent)).astype(np.float32)
    features = centres[channel].astype(np.float32)
    return Encoded(logits, mu, np.zeros_like(mu), features, features), centres


def origin_of(encoded: Encoded) -> NDArray[np.float64]:
    """Of the standard prior."""
    return np.zeros(encoded.mu.shape[1:])


def test_a_prior_that_lies_elsewhere_moves_nothing() -> None:
    encoded, centres = clouds(8)
    origin = np.random.default_rng(1).normal(size=encoded.mu.shape[1:]).round(2)
    moved = replace(encoded, mu=encoded.mu + origin.astype(np.float32))
    expected = draw_picture(encoded, centres, origin_of(encoded)).position(encoded)
    actual = draw_picture(moved, centres, origin).position(moved)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 16])
def test_anchors_lie_in_the_frame_and_apart(channels: int) -> None:
    encoded, centres = clouds(channels)
    picture = draw_picture(encoded, centres, origin_of(encoded))
    assert picture.anchor.shape == (channels, 2)
    assert np.abs(picture.anchor).max() <= 1.0
    assert len(np.unique(picture.anchor, axis=0)) == channels
    position = picture.position(encoded)
    assert position.shape == (200, 2)
    assert np.isfinite(position).all()


def test_alike_channels_lie_beside_each_other() -> None:
    encoded, centres = clouds(16)
    anchor = draw_picture(encoded, centres, origin_of(encoded)).anchor
    distance = np.linalg.norm(anchor[:, None] - anchor[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    assert (nearest // 2 == np.arange(16) // 2).mean() >= 0.8


def test_inputs_lie_around_the_anchor_of_their_channel() -> None:
    encoded, centres = clouds(16, 1600)
    picture = draw_picture(encoded, centres, origin_of(encoded))
    offset = picture.position(encoded) - picture.anchor[encoded.channel]
    distance = np.linalg.norm(picture.anchor[:, None] - picture.anchor[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    gap = float(np.median(distance.min(axis=1)))
    np.testing.assert_allclose(offset.std(axis=0), SPREAD * gap, rtol=0.1)


def test_the_picture_is_the_same_every_time() -> None:
    encoded, centres = clouds(8)
    first, second = (draw_picture(encoded, centres, origin_of(encoded)) for _ in range(2))
    np.testing.assert_array_equal(first.anchor, second.anchor)
    np.testing.assert_array_equal(first.plane, second.plane)


def test_a_latent_of_one_dimension_spreads_along_one_axis() -> None:
    encoded, centres = clouds(8, latent=1)
    picture = draw_picture(encoded, centres, origin_of(encoded))
    offset = picture.position(encoded) - picture.anchor[encoded.channel]
    assert offset[:, 0].std() > 0
    assert (offset[:, 1] == 0).all()


def test_channels_that_are_all_alike_stand_in_a_row() -> None:
    anchors = _place(np.ones((6, 3)), None)
    assert np.isfinite(anchors).all()
    assert len(np.unique(anchors[:, 0])) == 6


def test_a_picture_lies_where_the_one_before_it_lay() -> None:
    encoded, centres = clouds(16, 800)
    rng = np.random.default_rng(2)
    centres = centres + 3.0 * rng.normal(size=centres.shape)
    first = draw_picture(encoded, centres, origin_of(encoded))
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    before = Placement(first.anchor @ turn + 0.3, first.plane @ turn)
    moved = centres + 0.05 * rng.normal(size=centres.shape)
    second = draw_picture(encoded, moved, origin_of(encoded), before)
    free = draw_picture(encoded, moved, origin_of(encoded))

    def way(anchor: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(anchor - before.anchor, axis=1).mean())

    assert way(second.anchor) < 0.5 * way(free.anchor)
    directions = second.plane / np.linalg.norm(second.plane)
    np.testing.assert_allclose(directions, before.plane / np.linalg.norm(before.plane), atol=0.02)


def test_a_picture_of_more_channels_has_no_say() -> None:
    encoded, centres = clouds(8)
    before = Placement(np.zeros((9, 2)), np.zeros((2, 2)))
    expected = draw_picture(encoded, centres, origin_of(encoded))
    actual = draw_picture(encoded, centres, origin_of(encoded), before)
    np.testing.assert_array_equal(actual.anchor, expected.anchor)
    np.testing.assert_array_equal(actual.plane, expected.plane)
