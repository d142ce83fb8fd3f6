"""Points of the page's picture as columns: what the current bundle says of many inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rcmvae.calibration import Calibration, PValues
from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.prediction import PredictionBatch
from rcmvae.reference import ReferencePoints
from rcmvae.uncertainty import decompose

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SCORES = np.dtype(
    [
        ("x", np.float32),
        ("y", np.float32),
        ("predicted", np.int32),
        ("channel", np.int16),
        ("total", np.float32),
        ("aleatoric", np.float32),
        ("epistemic", np.float32),
        ("p_familiar", np.float64),
        ("p_owned", np.float64),
    ]
)
"""What a bundle says of one point: place in the picture, index of its label, nats, p-values."""


class Source(StrEnum):
    """Where a point comes from."""

    REFERENCE = "reference"
    CAPTURE = "capture"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class Points:
    """N points; entry i of every column belongs to point i.

    Attributes:
        ids: by which the API names them.
        source: where they come from.
        scores: of type SCORES, (N,).
        label: what a person said, or None.
        created: microseconds since 1970 UTC, int64 (N,).
        bundle_version: that a reference point is part of, or that first answered the input.
    """

    ids: list[str]
    source: list[Source]
    scores: NDArray[np.void]
    label: list[str | None]
    created: NDArray[np.int64]
    bundle_version: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, count: int) -> "Points":
        """The first points, at most ``count``."""
        return Points(
            self.ids[:count],
            self.source[:count],
            self.scores[:count],
            self.label[:count],
            self.created[:count],
            self.bundle_version[:count],
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Points"]) -> "Points":
        """The points of all parts, in their order."""
        empty = np.empty(0, dtype=np.int64)
        return cls(
            ids=list(chain.from_iterable(part.ids for part in parts)),
            source=list(chain.from_iterable(part.source for part in parts)),
            scores=np.concatenate([np.empty(0, SCORES), *(part.scores for part in parts)]),
            label=list(chain.from_iterable(part.label for part in parts)),
            created=np.concatenate([empty, *(part.created for part in parts)]),
            bundle_version=list(chain.from_iterable(part.bundle_version for part in parts)),
        )


def scores_of_batch(batch: PredictionBatch) -> NDArray[np.void]:
    """The SCORES of predictions, (N,)."""
    scores = np.empty(len(batch), dtype=SCORES)
    scores["x"], scores["y"] = batch.position[:, 0], batch.position[:, 1]
    scores["predicted"] = batch.probabilities.argmax(axis=1)
    scores["channel"] = batch.channel
    scores["total"] = batch.uncertainty.total
    scores["aleatoric"] = batch.uncertainty.aleatoric
    scores["epistemic"] = batch.uncertainty.epistemic
    scores["p_familiar"], scores["p_owned"] = batch.p_familiar, batch.p_owned
    return scores


def scores_of_reference(
    reference: ReferencePoints, label_map: LabelMap, calibration: Calibration
) -> NDArray[np.void]:
    """The SCORES of reference points, by what the bundle holds of them, (r,).

    Without a run of the graph, in float64: the served graph says the same within rounding.
    """
    parts = decompose(
        softmax(reference.logits.astype(np.float64) / calibration.temperature, axis=1),
        label_map.tau,
        expected_entropy(label_map.counts, label_map.floor),
    )
    judge = PValues(calibration)
    scores = np.empty(len(reference), dtype=SCORES)
    scores["x"], scores["y"] = reference.position[:, 0], reference.position[:, 1]
    scores["predicted"], scores["channel"] = reference.predicted, reference.channel
    scores["total"], scores["aleatoric"] = parts.total, parts.aleatoric
    scores["epistemic"] = parts.epistemic
    scores["p_familiar"] = judge.familiar(reference.fused)
    scores["p_owned"] = judge.owned(reference.unowned)
    return scores


def microseconds(moment: datetime) -> int:
    """An aware time as whole microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
