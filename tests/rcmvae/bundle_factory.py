"""A small valid bundle, complete as to files, tensors and shapes, for any test that needs one.

N is free, K=3 channels, d=2 latent dimensions, C=2 labels, F=4 features, S=2 scores, input (2, 2).
The graphs run, and mean nothing.
"""

import json
from datetime import UTC, datetime
from functools import cache

import numpy as np
import onnx
import onnx.parser

from rcmvae.bundle import BundleDraft, InputSignature, Lineage, write_tensors
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

FIRST = "20261123T165000Z-00000001"
SECOND = "20261123T165001Z-00000002"
THIRD = "20261123T165002Z-00000003"

ENCODER_TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[N, 2, 2] x)
    => (float[N, 3] logits, float[N, 3, 2] mu, float[N, 3, 2] logvar, float[N, 4] features)
<int64[2] flat = {0, 4}, float[4, 3] w = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0.5},
 float[4, 6] v = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0},
 int64[3] per_channel = {0, 3, 2}>
{
    features = Reshape (x, flat)
    logits = MatMul (features, w)
    spread = MatMul (features, v)
    mu = Reshape (spread, per_channel)
    logvar = Neg (mu)
}
"""

TAU_TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
tau (float[N, 3] logits)
    => (float[N, 3] responsibilities, int64[N] channel, float[N, 2] probabilities,
        float[N] total, float[N] aleatoric, float[N] channel_ambiguity,
        float[N] label_map_ignorance, float[N] responsibility)
<float[3, 2] map = {0.9, 0.1, 0.2, 0.8, 0.5, 0.5}>
{
    responsibilities = Softmax <axis = 1> (logits)
    channel = ArgMax <axis = 1, keepdims = 0> (responsibilities)
    probabilities = MatMul (responsibilities, map)
    logs = Log (probabilities)
    weighted = Mul (probabilities, logs)
    summed = ReduceMean <axes = [1], keepdims = 0> (weighted)
    total = Neg (summed)
    aleatoric = Identity (total)
    channel_ambiguity = Sub (total, aleatoric)
    label_map_ignorance = Identity (channel_ambiguity)
    responsibility = ReduceMax <axes = [1], keepdims = 0> (responsibilities)
}
"""

DECODER_TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
decoder (float[N, 2] z, int64[N] channel) => (float[N, 2, 2] reconstruction)
<float[3, 4] bias = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}, float[2, 4] w = {1, 0, 1, 0, 0, 1, 0, 1},
 int64[3] image = {0, 2, 2}>
{
    shift = Gather (bias, channel)
    linear = MatMul (z, w)
    shifted = Add (linear, shift)
    squashed = Sigmoid (shifted)
    reconstruction = Reshape (squashed, image)
}
"""

SCORES_TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
scores (float[N, 2, 2] x, float[N, 3, 2] mu, float[N, 3, 2] logvar, float[N, 4] features,
        int64[N] channel, float[N, 2, 2] reconstruction)
    => (float[N, 2] scores, float[N] fused, float[N, 2] position)
{
    difference = Sub (x, reconstruction)
    squared = Mul (difference, difference)
    scores = ReduceMean <axes = [1], keepdims = 0> (squared)
    fused = ReduceMean <axes = [1], keepdims = 0> (scores)
    position = ReduceMean <axes = [1], keepdims = 0> (mu)
}
"""


def graph(text: str) -> onnx.ModelProto:
    """Parse and check a graph written in the ONNX text form."""
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model


@cache
def small_contents() -> dict[str, bytes]:
    """All required files; cached, so copy before changing."""
    rng = np.random.default_rng(0)
    return {
        ENCODER: graph(ENCODER_TEXT).SerializeToString(),
        TAU: graph(TAU_TEXT).SerializeToString(),
        DECODER: graph(DECODER_TEXT).SerializeToString(),
        SCORES: graph(SCORES_TEXT).SerializeToString(),
        CALIBRATION: b'{"temperature": 1.0}\n',
        COUNTS: write_tensors(
            {
                "counts": np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
                "contributions": np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]),
                "contribution_labels": np.array([0, 0, 1], dtype=np.int64),
            },
            {"ids": json.dumps(["train-0", "train-1", "train-2"])},
        ),
        CHANNELS: write_tensors({"affinity": np.eye(3)}),
        GOLDEN: write_tensors(
            {
                "x": rng.random((3, 2, 2), dtype=np.float32),
                "label": np.array([0, 1, -1], dtype=np.int64),
            }
        ),
        LATENT_MAP: write_tensors(
            {
                "position": rng.random((2, 2), dtype=np.float32),
                "channel": np.array([0, 1], dtype=np.int64),
                "label": np.array([0, -1], dtype=np.int64),
                "fused": rng.random(2, dtype=np.float32),
                "unowned": rng.random(2, dtype=np.float32),
                "thumbnail": np.zeros((2, 2, 2), dtype=np.uint8),
            }
        ),
        WEIGHTS: write_tensors({"encoder.0.weight": rng.random((4, 3), dtype=np.float32)}),
        MODEL_CARD: "# Kleinstes Modell, größte Vorsicht\n".encode(),
    }


def small_draft(
    version: str = FIRST,
    *,
    parent: str | None = None,
    changes: dict[str, bytes] | None = None,
) -> BundleDraft:
    """A draft that publishes; ``changes`` replaces or adds files."""
    return BundleDraft(
        bundle_version=version,
        created=datetime(2026, 11, 23, 16, 50, tzinfo=UTC),
        input=InputSignature(shape=(2, 2)),
        labels=("circle", "square"),
        num_channels=3,
        latent_dim=2,
        lineage=Lineage(method="fit" if parent is None else "relabel", parent_version=parent),
        configuration={"data": {"source": "digits", "seed": 0}},
        metrics={"accuracy": 0.97},
        libraries={"onnx": onnx.__version__},
        contents=small_contents() | (changes or {}),
    )
