"""The label map on disk: `counts.safetensors`."""

import json
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from rcmvae.bundle import Bundle, require_tensor, write_tensors
from rcmvae.bundle.manifest import CALIBRATION, CHANNELS, COUNTS
from rcmvae.calibration import parse_calibration
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import LabelMap

_IDS = TypeAdapter(tuple[str, ...])
_tensor = partial(require_tensor, check="counts", file=COUNTS)


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
        BundleDamaged: arrays or ids are missing, do not fit each other, or are no evidence.
    """
    calibration = parse_calibration(bundle.read(CALIBRATION))
    arrays, manifest = bundle.arrays(COUNTS), bundle.manifest
    ids = _read_ids(bundle.metadata(COUNTS))
    channels, labels = manifest.num_channels, len(manifest.labels)
    label_map = LabelMap(
        labels=manifest.labels,
        contributions=_tensor(arrays, "contributions", np.float64, (len(ids), channels)),
        contribution_labels=_tensor(arrays, "contribution_labels", np.int64, (len(ids),)),
        ids=ids,
        alpha0=calibration.alpha0,
        resemblance=_read_resemblance(bundle),
    )
    _check_evidence(label_map)
    counts = _tensor(arrays, "counts", np.float64, (channels, labels))
    if not np.allclose(label_map.counts, counts, atol=1e-9):
        raise _damage("counts: expected the sum of the contributions, got another")
    return label_map


def _read_resemblance(bundle: Bundle) -> NDArray[np.float64] | None:
    """What labels spread along; None where the bundle has none, as the older ones."""
    arrays, channels = bundle.arrays(CHANNELS), bundle.manifest.num_channels
    if "resemblance" not in arrays:
        return None
    resemblance = _tensor(arrays, "resemblance", np.float64, (channels, channels))
    if not (np.isfinite(resemblance) & (resemblance >= 0.0)).all():
        raise _damage("resemblance: expected finite values of at least 0, got others")
    return resemblance


def _read_ids(metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        ids = _IDS.validate_json(metadata.get("ids", ""), strict=True)
    except ValidationError:
        raise _damage("metadata ids: expected a JSON list of texts, got something else") from None
    if len(set(ids)) != len(ids):
        raise _damage("metadata ids: expected distinct texts, got one twice")
    return ids


def _check_evidence(label_map: LabelMap) -> None:
    rows, columns = label_map.contributions, label_map.contribution_labels
    if not (np.isfinite(rows) & (rows >= 0.0)).all():
        raise _damage("contributions: expected finite values of at least 0, got others")
    if not ((columns >= 0) & (columns < len(label_map.labels))).all():
        raise _damage(f"contribution_labels: expected 0 to {len(label_map.labels) - 1}, got others")


def _damage(detail: str) -> BundleDamaged:
    return BundleDamaged("counts", COUNTS, detail)
