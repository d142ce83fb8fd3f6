"""Reference points: a sample of the training stream in the 2-D picture, `latent_map.safetensors`.

Scores, channel and position are what the served graph said when the bundle was made. What a label
map decides follows from `logits`, so a relabel needs no run of the graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, require_tensor
from rcmvae.bundle.manifest import LATENT_MAP, InputSignature
from rcmvae.errors import BundleDamaged

NO_LABEL = -1
"""In ``label``: nobody gave one."""

_STEPS = 255.0
_tensor = partial(require_tensor, check="reference_points", file=LATENT_MAP)


@dataclass(frozen=True, slots=True)
class ReferencePoints:
    """r inputs of the training stream; row i of every array belongs to point i.

    Attributes:
        number: which input of the training source it is, int64 (r,), distinct; the same number
            means the same input in every bundle made from the same data.
        position: in the picture, float32 (r, 2).
        channel: the most responsible one, int64 (r,).
        label: index of the label that training knew, NO_LABEL where it knew none, int64 (r,).
        predicted: index of the most probable label, int64 (r,).
        logits: of the channels, float32 (r, K).
        fused: score of question 1, float32 (r,).
        unowned: score of question 2, float32 (r,).
        usage: share of the training stream that every channel holds, float64 (K,).
        packed: the inputs as ``pack`` made them, (r, *shape); None in bundles from before they
            were kept.
    """

    number: NDArray[np.int64]
    position: NDArray[np.float32]
    channel: NDArray[np.int64]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    logits: NDArray[np.float32]
    fused: NDArray[np.float32]
    unowned: NDArray[np.float32]
    usage: NDArray[np.float64]
    packed: NDArray[np.uint8] | NDArray[np.float32] | None

    def __len__(self) -> int:
        return int(self.number.size)


def pack(
    x: NDArray[np.float32], signature: InputSignature
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Inputs (n, *shape) as they are kept: images as bytes of their range, vectors as they are.

    A byte is off by at most half a step, 1 / 510 of the range; images that came as bytes are exact.
    """
    if len(signature.shape) == 1:
        return x.astype(np.float32)
    share = (x.astype(np.float64) - signature.low) / (signature.high - signature.low)
    return np.asarray(np.rint(share.clip(0.0, 1.0) * _STEPS), dtype=np.uint8)


def unpack(
    packed: NDArray[np.uint8] | NDArray[np.float32], signature: InputSignature
) -> NDArray[np.float32]:
    """The inverse of ``pack``: float32 of the same shape, within the signature's range."""
    if packed.dtype != np.uint8:
        return packed.astype(np.float32)
    low, high = signature.low, signature.high
    # As rcmvae.input_rows scales a client's bytes, so that the same image is the same input.
    scale = np.float32((high - low) / _STEPS)
    x = np.float32(low) + packed.astype(np.float32) * scale
    return np.asarray(np.clip(x, np.float32(low), np.float32(high)), dtype=np.float32)


def read_reference_points(bundle: Bundle) -> ReferencePoints | None:
    """The reference points of a bundle; None where its file is of a form without logits.

    Raises:
        BundleDamaged: tensors do not fit each other or the manifest.
    """
    arrays, manifest = bundle.arrays(LATENT_MAP), bundle.manifest
    if "logits" not in arrays or "predicted" not in arrays:
        return None
    rows, channels = len(arrays["logits"]), manifest.num_channels
    channel = _indices(arrays, "channel", rows, 0, channels)
    points = ReferencePoints(
        number=_numbers(arrays, rows),
        position=_tensor(arrays, "position", np.float32, (rows, 2)),
        channel=channel,
        label=_indices(arrays, "label", rows, NO_LABEL, len(manifest.labels)),
        predicted=_indices(arrays, "predicted", rows, 0, len(manifest.labels)),
        logits=_tensor(arrays, "logits", np.float32, (rows, channels)),
        fused=_tensor(arrays, "fused", np.float32, (rows,)),
        unowned=_tensor(arrays, "unowned", np.float32, (rows,)),
        usage=_usage(arrays, channel, channels),
        packed=_packed(arrays, rows, manifest.input),
    )
    for name in ("position", "logits"):
        if not np.isfinite(arrays[name]).all():
            raise _damage(f"{name}: expected finite values, got others")
    return points


def _numbers(arrays: Mapping[str, NDArray[Any]], rows: int) -> NDArray[np.int64]:
    """The points' numbers; in older bundles their rows."""
    if "number" not in arrays:
        return np.arange(rows, dtype=np.int64)
    number = _tensor(arrays, "number", np.int64, (rows,))
    if len(np.unique(number)) != rows or (rows and number.min() < 0):
        raise _damage("number: expected distinct numbers of at least 0, got others")
    return number


def _usage(
    arrays: Mapping[str, NDArray[Any]], channel: NDArray[np.int64], channels: int
) -> NDArray[np.float64]:
    """Shares of the stream; in older bundles, whose points are a plain sample, of the points."""
    if "usage" in arrays:
        return _tensor(arrays, "usage", np.float64, (channels,))
    return np.bincount(channel, minlength=channels) / max(1, channel.size)


def _packed(
    arrays: Mapping[str, NDArray[Any]], rows: int, signature: InputSignature
) -> NDArray[np.uint8] | NDArray[np.float32] | None:
    """The inputs; in older bundles the thumbnails of grey images, which were the images."""
    if "x" in arrays:
        dtype = np.float32 if len(signature.shape) == 1 else np.uint8
        return _tensor(arrays, "x", dtype, (rows, *signature.shape))
    old = arrays.get("thumbnail")
    is_image = len(signature.shape) == 3 and signature.shape[0] == 1
    if old is None or not is_image or old.shape != (rows, *signature.shape[1:]):
        return None
    return np.asarray(old[:, None], dtype=np.uint8)


def _indices(
    arrays: Mapping[str, NDArray[Any]], name: str, rows: int, low: int, end: int
) -> NDArray[np.int64]:
    values = _tensor(arrays, name, np.int64, (rows,))
    if not ((values >= low) & (values < end)).all():
        raise _damage(f"{name}: expected {low} to {end - 1}, got others")
    return values


def _damage(detail: str) -> BundleDamaged:
    return BundleDamaged("reference_points", LATENT_MAP, detail)
