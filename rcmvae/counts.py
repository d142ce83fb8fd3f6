"""The label map on disk: `counts.safetensors`."""

import json

import numpy as np

from rcmvae.bundle import Bundle, write_tensors
from rcmvae.bundle.manifest import CALIBRATION, COUNTS
from rcmvae.calibration import parse_calibration
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import LabelMap


def write_counts(label_map: LabelMap) -> bytes:
    """Content of `counts.safetensors`: the counts, and every example's share in them."""
    arrays = {
        "counts": label_map.counts,
        "contributions": label_map.contributions,
        "contribution_labels": label_map.contribution_labels,
    }
    return write_tensors(arrays, {"ids": json.dumps(label_map.ids)})


def read_label_map(bundle: Bundle) -> LabelMap:
    """The label map of a bundle.

    Raises:
        BundleDamaged: arrays or ids are missing or do not fit each other.
    """
    calibration = parse_calibration(bundle.read(CALIBRATION))
    arrays, metadata = bundle.arrays(COUNTS), bundle.metadata(COUNTS)
    try:
        label_map = LabelMap(
            labels=bundle.manifest.labels,
            contributions=arrays["contributions"].astype(np.float64),
            contribution_labels=arrays["contribution_labels"].astype(np.int64),
            ids=tuple(json.loads(metadata["ids"])),
            alpha0=calibration.alpha0,
        )
        counts = label_map.counts
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise BundleDamaged("counts", COUNTS, f"arrays do not fit: {error}") from None
    if len(label_map.ids) != len(label_map.contributions):
        raise BundleDamaged("counts", COUNTS, "as many ids as contributions expected")
    if not np.allclose(counts, arrays["counts"], atol=1e-9):
        raise BundleDamaged("counts", COUNTS, "counts are not the sum of the contributions")
    return label_map
