"""One PNG image as an input.

Its size is read from its header and must be the bundle's before anything is decompressed, so a
small file cannot become a large picture. Nothing is resized: that would be another input.
"""

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput

_MODES = {1: "L", 3: "RGB"}
_READ = frozenset({"1", "L", "P", "RGB"})
# What Pillow raises for bytes that are no PNG, or a broken one.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error, IndexError)


def read_png(body: bytes, signature: InputSignature, field: str = "body") -> NDArray[np.uint8]:
    """An image as uint8 of ``signature.shape``.

    Args:
        body: the file.
        signature: of images: (H, W), (1, H, W) or (3, H, W).
        field: how errors call it.

    Raises:
        InvalidInput: no PNG, of another size, transparent, or the bundle's inputs are no images.
    """
    channels, height, width = _image_shape(signature, field)
    expected = f"a PNG image of {width} x {height}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(body), formats=("PNG",)) as image:
                _judge(image, (width, height), field, expected)
                pixels = np.asarray(image.convert(_MODES[channels]), dtype=np.uint8)
    except (*_BROKEN, Image.DecompressionBombError):
        raise InvalidInput(field, expected, "bytes that are none") from None
    by_channel = pixels.transpose(2, 0, 1) if channels == 3 else pixels
    return np.ascontiguousarray(by_channel).reshape(signature.shape)


def _judge(image: Image.Image, size: tuple[int, int], field: str, expected: str) -> None:
    if image.size != size:
        raise InvalidInput(field, expected, f"{image.size[0]} x {image.size[1]}")
    if image.mode not in _READ or "transparency" in image.info:
        wanted = "grey, RGB or a palette, of at most 8 bits a channel and opaque"
        raise InvalidInput(field, wanted, f"mode {image.mode}")


def _image_shape(signature: InputSignature, field: str) -> tuple[int, int, int]:
    """Channels, height and width."""
    shape = signature.shape
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) == 3 and shape[0] in _MODES:
        return shape[0], shape[1], shape[2]
    expected = f"another format: this bundle's inputs of shape {list(shape)} are no images"
    raise InvalidInput(field, expected, "a PNG image")
