"""Inputs as PNG images, one by one or side by side."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rcmvae.bundle.manifest import InputSignature
from rcmvae.reference import pack

_RGB = 3


def is_image(signature: InputSignature) -> bool:
    """Whether an input is a grey image, (H, W) or (1, H, W), or a colour one, (3, H, W)."""
    shape = signature.shape
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, _RGB))


def encode_png(x: NDArray[np.float32], signature: InputSignature) -> bytes:
    """One input as a PNG, a pixel a value; the low end of the range is black."""
    return _png(Image.fromarray(_pixels(x, signature)))


def encode_sprite(inputs: Sequence[NDArray[np.float32] | None], signature: InputSignature) -> bytes:
    """Inputs in a grid of ``sprite_columns``, row by row; a cell without one is transparent."""
    height, width = signature.shape[-2:]
    columns = sprite_columns(len(inputs))
    rows = math.ceil(len(inputs) / columns)
    sheet = Image.new("RGBA", (columns * width, rows * height))
    for i, x in enumerate(inputs):
        if x is not None:
            cell = Image.fromarray(_pixels(x, signature)).convert("RGBA")
            sheet.paste(cell, (i % columns * width, i // columns * height))
    return _png(sheet)


def sprite_columns(count: int) -> int:
    """Columns of the grid: it is as square as can be, and at least as wide as high."""
    return math.isqrt(max(0, count - 1)) + 1


def _pixels(x: NDArray[np.float32], signature: InputSignature) -> NDArray[np.uint8]:
    """Bytes (H, W) of a grey image, (H, W, 3) of a colour one."""
    packed = np.asarray(pack(x, signature), dtype=np.uint8)
    if packed.ndim == 2:
        return packed
    return packed[0] if packed.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(packed, 0, 2))


def _png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    # These images are small: trying harder costs ten times as much and saves a few bytes.
    image.save(sink, format="PNG", compress_level=1)
    return sink.getvalue()
