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
from rcmvae.calibration import Calibration, PValues
from rcmvae.counts import write_counts
from rcmvae.decision import Decision, decide
from rcmvae.graph import Graphs, tau_graph
from rcmvae.label_map import LabelMap, ownership_score
from training.calibrate import Judged, calibrate
from training.config import CalibrationConfig
from training.data import NO_LABEL, Examples
from training.encode import run_served, softmax
from training.model_card import write_model_card

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
        temperature: divides the channel logits.
    """

    signature: InputSignature
    num_channels: int
    latent_dim: int
    configuration: Mapping[str, JsonValue]
    contents: Mapping[str, bytes]
    temperature: float


FOUNDATION_FILES = (ENCODER, DECODER, SCORES, GOLDEN, LATENT_MAP, WEIGHTS)


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


def write_golden(golden: Examples) -> bytes:
    """Content of `golden.safetensors`."""
    return write_tensors({"x": golden.x, "label": golden.y})


def read_golden(content: bytes) -> Examples:
    """The golden set; labels are NO_LABEL where there are none.

    Raises:
        BundleDamaged: it is no safetensors file.
    """
    arrays = read_arrays(GOLDEN, content)
    return Examples(arrays["x"], arrays["label"])


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
        label_map: the map to serve.
        config: how to calibrate.
        lineage: where this bundle comes from.
        metrics: what is known beside the figures on the golden set.
    """
    tau = tau_graph(label_map, foundation.temperature).SerializeToString()
    golden = read_golden(foundation.contents[GOLDEN])
    judged = _judge(foundation, tau, golden)
    calibration = calibrate(judged, label_map, foundation.temperature, config)
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
        metrics={**metrics, **golden_metrics(judged, label_map, calibration)},
        libraries=_library_versions(),
        contents={
            **foundation.contents,
            TAU: tau,
            CALIBRATION: calibration.model_dump_json(indent=1).encode(),
            COUNTS: write_counts(label_map),
            LATENT_MAP: _relabelled_picture(foundation, label_map),
        },
    )
    card = write_model_card(draft, calibration, label_map)
    return replace(draft, contents={**draft.contents, MODEL_CARD: card.encode()})


def _judge(foundation: Foundation, tau: bytes, golden: Examples) -> Judged:
    """Logits and fused scores of the golden set, by the graph that will be served."""
    contents = foundation.contents
    graphs = Graphs(contents[ENCODER], tau, contents[DECODER], contents[SCORES])
    logits, fused = run_served(graphs, ("logits", "fused"), golden.x)
    return Judged(logits, golden.y, fused)


def golden_metrics(
    judged: Judged, label_map: LabelMap, calibration: Calibration
) -> dict[str, float]:
    """Figures on the golden set: accuracy and false alarms of the inputs with a known label."""
    known = judged.label != NO_LABEL
    r = softmax(judged.logits[known] / calibration.temperature)
    right = (r @ label_map.tau).argmax(axis=1) == judged.label[known]
    judge = PValues(calibration)
    owned = judge.owned(ownership_score(r, label_map.tau))
    decisions = decide(judge.familiar(judged.fused[known]), owned, calibration.alpha)
    alarms = sum(decision is not Decision.KNOWN for decision in decisions)
    count = int(known.sum())
    return {
        "golden_labelled": float(count),
        "golden_accuracy": float(right.mean()) if count else 0.0,
        "golden_false_alarms": alarms / count if count else 0.0,
    }


def _relabelled_picture(foundation: Foundation, label_map: LabelMap) -> bytes:
    """The picture's ownership scores under this map; its positions stay."""
    arrays = dict(read_arrays(LATENT_MAP, foundation.contents[LATENT_MAP]))
    r = softmax(arrays["logits"] / foundation.temperature)
    arrays["responsibility"] = ownership_score(r, label_map.tau).astype(np.float32)
    arrays["predicted"] = (r @ label_map.tau).argmax(axis=1).astype(np.int64)
    return write_tensors(arrays)


def _library_versions() -> dict[str, str]:
    return {name: version for name in LIBRARIES if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def thumbnails(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey thumbnails (n, h, w) of images (n, 1, h, w); a strip of one row for vectors."""
    grey = x[:, 0] if x.ndim == 4 else x.reshape(len(x), 1, -1)
    return np.asarray(np.rint(grey * 255.0), dtype=np.uint8)
