"""A bundle's draft: a foundation that the fit made, and a label map on top of it.

The foundation (graphs of encoder, decoder and scores, golden set, weights, picture) does not
depend on labels. A fit and a refit make a new one; a relabel takes its parent's. Everything that
does depend on labels is computed here, without torch, in one way for all three.
"""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    InputSignature,
    Lineage,
    new_version,
    read_arrays,
    write_tensors,
)
from rcmvae.bundle.manifest import (
    CALIBRATION,
    CHANNELS,
    COUNTS,
    DECODER,
    ENCODER,
    GOLDEN,
    LATENT_MAP,
    MODEL_CARD,
    SCORES,
    TAU,
    WEIGHTS,
)
from rcmvae.counts import write_counts
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import LabelMap
from rcmvae.tau_graph import tau_graph
from training.calibrate import Judged, Ownable, calibrate, probability_source
from training.config import CalibrationConfig
from training.data import NO_LABEL
from training.encode import softmax
from training.golden_run import golden_run
from training.golden_set import read_golden
from training.model_card import write_model_card
from training.sharpness import Sharpness, fit_sharpness

FITTED_ACCURACY = "golden_accuracy_fitted"
"""Metric: golden accuracy right after the last fit or refit; relabels carry it on."""

FITTED_RECALL = "golden_recall_fitted/"
"""Metrics, one a label of the golden set: the recall then; the name of the label follows."""

LIBRARIES = ("numpy", "onnx", "onnxruntime", "torch", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a bundle holds that no label changes.

    Attributes:
        signature: what one input is.
        num_channels: K.
        latent_dim: d.
        configuration: of the run that made it.
        contents: content of each file of FOUNDATION_FILES.
        temperature: divides the channel logits where ``calibration.probabilities`` is ``held_out``.
    """

    signature: InputSignature
    num_channels: int
    latent_dim: int
    configuration: Mapping[str, JsonValue]
    contents: Mapping[str, bytes]
    temperature: float


FOUNDATION_FILES = (ENCODER, DECODER, SCORES, CHANNELS, GOLDEN, LATENT_MAP, WEIGHTS)


def foundation_of(bundle: Bundle, temperature: float) -> Foundation:
    """The foundation that a bundle stands on."""
    manifest = bundle.manifest
    return Foundation(
        manifest.input,
        manifest.num_channels,
        manifest.latent_dim,
        manifest.configuration,
        {name: bundle.read(name) for name in FOUNDATION_FILES},
        temperature,
    )


def write_channels(affinity: NDArray[np.float64], resemblance: NDArray[np.float64] | None) -> bytes:
    """Content of `channels.safetensors`; without a resemblance, labels do not spread."""
    arrays = {"affinity": affinity}
    return write_tensors(arrays if resemblance is None else arrays | {"resemblance": resemblance})


def read_affinity(content: bytes) -> NDArray[np.float64]:
    """Affinity of the channels, (K, K).

    Raises:
        BundleDamaged: it is no safetensors file, or holds no affinity.
    """
    affinity = read_arrays(CHANNELS, content).get("affinity")
    if affinity is None:
        raise BundleDamaged("channels", CHANNELS, "affinity: expected a tensor, found none")
    return np.asarray(affinity, dtype=np.float64)


def write_draft(
    foundation: Foundation,
    label_map: LabelMap,
    config: CalibrationConfig,
    lineage: Lineage,
    metrics: Mapping[str, float],
) -> BundleDraft:
    """Put a label map on a foundation: tau, calibration, counts, metrics and model card.

    Args:
        foundation: graphs and golden set.
        label_map: the map to serve; where its examples say how sure to be, its floor is replaced.
        config: how to calibrate.
        lineage: where this bundle comes from.
        metrics: what is known beside the figures on the golden set.
    """
    sharpness = _sharpness(foundation, label_map, config)
    label_map = replace(label_map, alpha0=sharpness.alpha0)
    ownable = Ownable(label_map, read_affinity(foundation.contents[CHANNELS]), config.free_mass)
    graph = tau_graph(label_map, sharpness.temperature, ownable.ownership)
    tau = graph.SerializeToString()
    judged = _judge(foundation)
    golden = GoldenFigures.of(judged, label_map, sharpness.temperature)
    calibration = calibrate(judged, ownable, sharpness.temperature, config)
    created = datetime.now(UTC)
    draft = BundleDraft(
        bundle_version=new_version(created, lineage.parent_version),
        created=created,
        input=foundation.signature,
        labels=label_map.labels,
        num_channels=foundation.num_channels,
        latent_dim=foundation.latent_dim,
        lineage=lineage,
        configuration=foundation.configuration,
        metrics={**golden.as_fitted(), **metrics, **golden.metrics()},
        libraries=_library_versions(),
        contents={
            **foundation.contents,
            TAU: tau,
            CALIBRATION: calibration.model_dump_json(indent=1).encode(),
            COUNTS: write_counts(label_map),
            LATENT_MAP: _relabelled_picture(foundation, ownable, sharpness.temperature),
        },
    )
    card = write_model_card(draft, calibration, label_map)
    return replace(draft, contents={**draft.contents, MODEL_CARD: card.encode()})


def _sharpness(foundation: Foundation, label_map: LabelMap, config: CalibrationConfig) -> Sharpness:
    """How sure probabilities are: by the map's own examples, or by what was fitted before."""
    if probability_source(config) == "leave_one_out" and label_map.ids:
        return fit_sharpness(label_map)
    return Sharpness(foundation.temperature, label_map.alpha0)


def _judge(foundation: Foundation) -> Judged:
    """Logits and fused scores of the golden set, by the graphs that will be served."""
    contents = foundation.contents
    golden = read_golden(contents[GOLDEN])
    run = golden_run(*(contents[name] for name in (ENCODER, DECODER, SCORES, GOLDEN)))
    return Judged(run.logits, golden.examples.y, run.fused, golden.fresh)


@dataclass(frozen=True, slots=True)
class GoldenFigures:
    """Golden inputs with a label, and what is answered.

    False alarms are not among the figures: these inputs are the calibration samples themselves.

    Attributes:
        labels: names.
        truth: index into them, (m,).
        right: whether the answer is, (m,).
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, judged: Judged, label_map: LabelMap, temperature: float) -> "GoldenFigures":
        """Of golden inputs by a label map."""
        known = judged.label != NO_LABEL
        predicted = (softmax(judged.logits[known] / temperature) @ label_map.tau).argmax(axis=1)
        truth = judged.label[known]
        return cls(label_map.labels, truth, predicted == truth)

    def metrics(self) -> dict[str, float]:
        """Those of every bundle."""
        return {
            "golden_labelled": float(self.right.size),
            "golden_accuracy": self._accuracy,
        }

    def as_fitted(self) -> dict[str, float]:
        """Those that a fit or a refit leaves for the gate, and relabels carry on."""
        recalls = {
            FITTED_RECALL + self.labels[y]: float(self.right[self.truth == y].mean())
            for y in np.unique(self.truth).tolist()
        }
        return {FITTED_ACCURACY: self._accuracy, **recalls}

    @property
    def _accuracy(self) -> float:
        return float(self.right.mean()) if self.right.size else 0.0


def _relabelled_picture(foundation: Foundation, ownable: Ownable, temperature: float) -> bytes:
    """The picture's labels and ownership scores under this map; its positions stay."""
    arrays = dict(read_arrays(LATENT_MAP, foundation.contents[LATENT_MAP]))
    probability = softmax(arrays["logits"] / temperature) @ ownable.label_map.tau
    arrays["unowned"] = ownable.score(arrays["logits"]).astype(np.float32)
    arrays["predicted"] = probability.argmax(axis=1).astype(np.int64)
    return write_tensors(arrays)


def _library_versions() -> dict[str, str]:
    return {name: version for name in LIBRARIES if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
