"""The golden set: held-out inputs, frozen, carried from bundle to bundle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import read_arrays, write_tensors
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.errors import BundleDamaged
from training.data import Examples


@dataclass(frozen=True, slots=True)
class Golden:
    """The golden set: all held-out inputs.

    Attributes:
        examples: m inputs; labels are NO_LABEL where there are none.
        fresh: whether neither temperature nor fused density was fitted on it, (m,).
    """

    examples: Examples
    fresh: NDArray[np.bool_]


def write_golden(fitted: Examples, fresh: Examples) -> bytes:
    """Content of `golden.safetensors`: what the densities were fitted on, then the fresh inputs."""
    arrays = {
        "x": np.concatenate([fitted.x, fresh.x]),
        "label": np.concatenate([fitted.y, fresh.y]),
        "fresh": np.repeat(np.array([0, 1], dtype=np.uint8), [len(fitted), len(fresh)]),
    }
    return write_tensors(arrays)


def read_golden(content: bytes) -> Golden:
    """The golden set of a bundle.

    Raises:
        BundleDamaged: it is no safetensors file, or lacks a tensor.
    """
    arrays = read_arrays(GOLDEN, content)
    missing = {"x", "label", "fresh"} - arrays.keys()
    if missing:
        raise BundleDamaged("golden", GOLDEN, f"{min(missing)}: expected a tensor, found none")
    examples = Examples(arrays["x"], arrays["label"])
    return Golden(examples, arrays["fresh"].astype(np.bool_))
