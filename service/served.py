"""What one worker serves at one moment: a predictor, and what its bundle says about labels."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, Manifest
from rcmvae.counts import read_label_map
from rcmvae.label_map import LabelMap
from rcmvae.predictor import Predictor
from rcmvae.reference import read_reference_points
from service.reference import ServedReference, served_reference


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """What speaks for one label.

    Attributes:
        label: its name.
        evidence: sum of its counts over the channels, in labelled samples.
        channels: channels in which it has the largest count.
    """

    label: str
    evidence: float
    channels: int


@dataclass(frozen=True, slots=True)
class Served:
    """One loaded bundle; replaced as a whole, never changed."""

    predictor: Predictor
    label_map: LabelMap
    labels: tuple[LabelEvidence, ...]
    loaded: datetime
    reference: ServedReference | None = None

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self.predictor.manifest

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.manifest.bundle_version


def open_served(bundle: Bundle, *, providers: tuple[str, ...], threads: int) -> Served:
    """Open and warm a predictor over a verified bundle."""
    predictor = Predictor.open(bundle, providers=providers, threads=threads)
    label_map = read_label_map(bundle)
    evidence = label_evidence(bundle.manifest.labels, label_map.counts)
    points, calibration = read_reference_points(bundle), predictor.calibration
    reference = (
        None
        if points is None
        else served_reference(points, bundle.manifest, label_map, calibration)
    )
    return Served(predictor, label_map, evidence, datetime.now(UTC), reference)


def label_evidence(
    labels: tuple[str, ...], counts: NDArray[np.float64]
) -> tuple[LabelEvidence, ...]:
    """Evidence of every label.

    Args:
        labels: C names.
        counts: soft label counts, (K, C), in labelled samples.
    """
    leading = counts.argmax(axis=1)[counts.sum(axis=1) > 0]
    channels = np.bincount(leading, minlength=len(labels))
    totals = counts.sum(axis=0)
    return tuple(
        LabelEvidence(label, float(totals[i]), int(channels[i])) for i, label in enumerate(labels)
    )
