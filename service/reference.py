"""The reference points of one loaded bundle, with what the page and the feedback need of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature, Manifest
from rcmvae.calibration import Calibration
from rcmvae.label_map import LabelMap
from rcmvae.reference import NO_LABEL, ReferencePoints, unpack
from service.points import Points, Source, microseconds, scores_of_reference


@dataclass(frozen=True)
class ServedReference:
    """Reference points as columns, and their inputs by id.

    Attributes:
        points: as the page gets them, with the labels that training knew.
        usage: share of the training stream in every channel, (K,).
        row: of every id.
        inputs: as ``rcmvae.reference.pack`` made them; None in older bundles.
        signature: of one input.
    """

    points: Points
    usage: NDArray[np.float64]
    row: Mapping[str, int]
    inputs: NDArray[np.uint8] | NDArray[np.float32] | None
    signature: InputSignature

    @cached_property
    def input_sha256(self) -> list[str]:
        """Of every input's little-endian float32 bytes, as the store has it.

        Empty where the bundle has no inputs. Only the picture needs it: made at once it would be
        half of what a swap takes from the requests beside it.
        """
        if self.inputs is None:
            return []
        rows = (unpack(row, self.signature).astype("<f4") for row in self.inputs)
        return [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]

    def input(self, point_id: str) -> NDArray[np.float32] | None:
        """The input of a point, of the signature's shape; None where there is none."""
        row = self.row.get(point_id)
        if row is None or self.inputs is None:
            return None
        return unpack(self.inputs[row], self.signature)


def served_reference(
    reference: ReferencePoints, manifest: Manifest, label_map: LabelMap, calibration: Calibration
) -> ServedReference:
    """Reference points under the label map and the calibration of their bundle."""
    ids = [f"r-{number}" for number in reference.number.tolist()]
    points = Points(
        ids=ids,
        source=[Source.REFERENCE] * len(ids),
        scores=scores_of_reference(reference, label_map, calibration),
        label=_labels(reference, manifest.labels),
        created=np.full(len(ids), microseconds(manifest.created), dtype=np.int64),
        bundle_version=[manifest.bundle_version] * len(ids),
    )
    return ServedReference(
        points=points,
        usage=reference.usage,
        row={name: row for row, name in enumerate(ids)},
        inputs=reference.packed,
        signature=manifest.input,
    )


def _labels(reference: ReferencePoints, labels: Sequence[str]) -> list[str | None]:
    return [None if i == NO_LABEL else labels[i] for i in reference.label.tolist()]
