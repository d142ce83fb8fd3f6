"""A small bundle whose graphs mean something, made by rcmvae itself; published in milliseconds.

Inputs are (2, 3) in [0, 1]. Three prototypes, one channel each: the first row lit is "circle", the
second row lit is "square", and the columns at the ends lit have no label.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import parser

from rcmvae.bundle import BundleDraft, InputSignature, Lineage, publish_bundle, write_tensors
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
from rcmvae.calibration import Calibration, ascending
from rcmvae.counts import write_counts
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.label_map import LabelMap
from rcmvae.ood import SCORE_NAMES, FeatureDensity, FusedDensity, feature_density, fit_fused_density
from rcmvae.ownership import channel_ownership
from rcmvae.reference import NO_LABEL, pack
from rcmvae.scores_graph import Placement, scores_graph
from rcmvae.tau_graph import tau_graph

SHAPE = (2, 3)
LABELS = ("circle", "square")
CIRCLE = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
SQUARE = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
UNLABELLED = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
PROTOTYPES = np.array([CIRCLE, SQUARE, UNLABELLED], dtype=np.float32)

_HEADER = '<ir_version: 10, opset_import: ["": 20]>'
_ENCODER = (
    _HEADER
    + """
encoder (float[N, 2, 3] x)
    => (float[N, 3] logits, float[N, 3, 2] mu, float[N, 3, 2] logvar, float[N, 6] features,
        float[N, 2] texture_maps)
<int64[2] flat = {0, 6}, int64[3] per_channel = {0, 3, 2}, float zero = {0.0},
 int64[1] columns = {2},
 float[6, 3] w = {4, -4, 1, 4, -4, -6, 4, -4, 1, -4, 4, 1, -4, 4, -6, -4, 4, 1},
 float[3] b = {0, 0, 3}>
{
    features = Reshape (x, flat)
    weighted = MatMul (features, w)
    logits = Add (weighted, b)
    mu = Reshape (features, per_channel)
    logvar = Mul (mu, zero)
    texture_maps = ReduceMean <keepdims = 0> (x, columns)
}
"""
)
_DECODER = (
    _HEADER
    + """
decoder (float[N, 2] z, int64[N] channel)
    => (float[N, 2, 3] reconstruction, float[N, 2, 3] reconstruction_logits)
<float[3, 6] prototype = {3, 3, 3, -3, -3, -3, -3, -3, -3, 3, 3, 3, 3, -3, 3, 3, -3, 3},
 float[2, 6] w = {0.1, 0, 0.1, 0, 0, 0.1, 0, 0.1, 0, 0.1, 0, 0}, int64[3] image = {0, 2, 3}>
{
    bias = Gather (prototype, channel)
    shift = MatMul (z, w)
    logit = Add (bias, shift)
    reconstruction_logits = Reshape (logit, image)
    reconstruction = Sigmoid (reconstruction_logits)
}
"""
)


def known_inputs(count: int, seed: int) -> NDArray[np.float32]:
    """Noisy circles and squares in turn, (count, 2, 3)."""
    rng = np.random.default_rng(seed)
    clean = PROTOTYPES[np.arange(count) % 2]
    noisy = np.abs(clean - 0.2 * rng.random(clean.shape, dtype=np.float32))
    return noisy.reshape(-1, *SHAPE).astype(np.float32)


def label_map(extra: int = 0) -> LabelMap:
    """Evidence of 20 examples, and of ``extra`` more circles."""
    count = 20 + extra
    columns = np.array([i % 2 if i < 20 else 0 for i in range(count)], dtype=np.int64)
    contributions = np.eye(3)[columns]
    ids = tuple(f"train-{i}" for i in range(count))
    return LabelMap(LABELS, contributions, columns, ids, alpha0=0.05)


def small_draft(version: str, parent: str | None = None, *, extra: int = 0) -> BundleDraft:
    """A draft that publishes and serves."""
    return BundleDraft(
        bundle_version=version,
        created=datetime(2026, 11, 23, 16, 50, tzinfo=UTC),
        input=InputSignature(shape=SHAPE),
        labels=LABELS,
        num_channels=3,
        latent_dim=2,
        lineage=Lineage(method="fit" if parent is None else "relabel", parent_version=parent),
        configuration={},
        metrics={"accuracy": 1.0},
        libraries={"onnx": onnx.__version__},
        contents=_contents(extra),
    )


def publish_small(models: Path, version: str, parent: str | None = None, *, extra: int = 0) -> None:
    """Publish it and make it current."""
    publish_bundle(models, small_draft(version, parent, extra=extra), expected_parent=parent)


@cache
def _contents(extra: int) -> dict[str, bytes]:
    evidence = label_map(extra)
    graphs = _graphs(evidence)
    golden = known_inputs(4, seed=2)
    return graphs | {
        CALIBRATION: _calibration(graphs).model_dump_json().encode(),
        COUNTS: write_counts(evidence),
        CHANNELS: write_tensors({"affinity": np.eye(3)}),
        GOLDEN: write_tensors({"x": golden, "label": np.array([0, 1, 0, 1], dtype=np.int64)}),
        LATENT_MAP: _reference_points(graphs),
        WEIGHTS: write_tensors({"none": np.zeros(1, dtype=np.float32)}),
        MODEL_CARD: b"# Small\n",
    }


def _reference_points(graphs: dict[str, bytes]) -> bytes:
    """One clean input of every prototype; the last has no label."""
    x = PROTOTYPES.reshape(-1, *SHAPE)
    names = ("logits", "position", "channel", "fused", "unowned", "probabilities")
    out = _run(graphs, x, names)
    return write_tensors(
        {
            "number": np.array([3, 7, 11], dtype=np.int64),
            "label": np.array([0, 1, NO_LABEL], dtype=np.int64),
            "predicted": out.pop("probabilities").argmax(axis=1).astype(np.int64),
            "usage": np.array([0.5, 0.25, 0.25]),
            "x": pack(x, InputSignature(shape=SHAPE)),
            **out,
        }
    )


def _graphs(evidence: LabelMap) -> dict[str, bytes]:
    features = feature_density(PROTOTYPES.astype(np.float64), np.eye(6) / 16.0, axes=2)
    ownership = channel_ownership(np.eye(3), evidence.evidence, half=0.5)
    graphs = {
        ENCODER: parser.parse_model(_ENCODER).SerializeToString(),
        DECODER: parser.parse_model(_DECODER).SerializeToString(),
        TAU: tau_graph(evidence, 1.0, ownership).SerializeToString(),
        SCORES: _scores(features, FusedDensity.open()),
    }
    fused = fit_fused_density(_run(graphs, known_inputs(400, seed=0))["scores"])
    return graphs | {SCORES: _scores(features, fused)}


def _scores(features: FeatureDensity, fused: FusedDensity) -> bytes:
    rows = PROTOTYPES.reshape(3, *SHAPE).mean(axis=2).astype(np.float64)
    texture = feature_density(rows, np.eye(2) / 16.0, axes=1)
    placement = Placement(np.eye(3)[:, :2], 0.1 * np.eye(2))
    graph = scores_graph(SHAPE, features, texture, fused, placement)
    return bytes(graph.SerializeToString())


def _calibration(graphs: dict[str, bytes]) -> Calibration:
    out = _run(graphs, known_inputs(400, seed=1))
    truth = np.arange(400) % 2
    scores = 1.0 - out["probabilities"][np.arange(400), truth]
    return Calibration(
        temperature=1.0,
        alpha0=0.05,
        alpha=0.02,
        free_mass=0.5,
        score_names=SCORE_NAMES,
        owned_source="held_out",
        fused=ascending(out["fused"]),
        owned=ascending(out["unowned"]),
        label_set=ascending(scores),
        label_set_labels=tuple(truth[np.argsort(scores, kind="stable")].tolist()),
    )


def _run(
    graphs: dict[str, bytes], x: NDArray[np.float32], outputs: Sequence[str] = SERVED_OUTPUTS
) -> dict[str, NDArray[np.float32]]:
    parts = Graphs(*(graphs[name] for name in (ENCODER, TAU, DECODER, SCORES)))
    session = onnxruntime.InferenceSession(
        served_graph(parts, outputs), providers=["CPUExecutionProvider"]
    )
    return dict(zip(outputs, session.run(list(outputs), {"x": x}), strict=True))
