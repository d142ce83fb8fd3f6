"""Inputs as PNG: what Pillow reads back is what the input was."""

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from rcmvae.bundle import InputSignature
from rcmvae.reference import unpack
from service.thumbnail import encode_png, encode_sprite, is_image, sprite_columns

GREY = InputSignature(shape=(1, 4, 3), low=-1.0, high=1.0)
COLOUR = InputSignature(shape=(3, 4, 3))


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@given(hnp.arrays(np.uint8, (1, 4, 3)))
def test_a_grey_image_keeps_its_bytes(values: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(pixels(encode_png(unpack(values, GREY), GREY)), values[0])


@given(hnp.arrays(np.uint8, (3, 4, 3)))
def test_a_colour_image_keeps_its_bytes(values: NDArray[np.uint8]) -> None:
    actual = pixels(encode_png(unpack(values, COLOUR), COLOUR))
    np.testing.assert_array_equal(actual, values.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3), True), ((1, 4, 3), True), ((3, 4, 3), True), ((7,), False), ((2, 4, 3), False)],
)
def test_which_inputs_are_images(shape: tuple[int, ...], expected: bool) -> None:
    assert is_image(InputSignature(shape=shape)) is expected


@given(st.integers(1, 300))
def test_the_grid_has_room_and_no_empty_row(count: int) -> None:
    columns = sprite_columns(count)
    rows = math.ceil(count / columns)
    assert rows <= columns
    assert (rows - 1) * columns < count <= rows * columns


def test_a_sprite_holds_the_images_in_their_order_and_leaves_gaps() -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 3), dtype=np.uint8)
    inputs = [None if i == 3 else unpack(row, GREY) for i, row in enumerate(values)]
    sheet = pixels(encode_sprite(inputs, GREY))
    assert sheet.shape == (2 * 4, 3 * 3, 4)
    for i, row in enumerate(values):
        top, left = i // 3 * 4, i % 3 * 3
        cell = sheet[top : top + 4, left : left + 3]
        assert (cell[..., 3] == (0 if i == 3 else 255)).all()
        if i != 3:
            np.testing.assert_array_equal(cell[..., 0], row[0])
