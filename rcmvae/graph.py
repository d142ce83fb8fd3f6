"""The ONNX graphs that are written without torch, and the one graph that is served.

Encoder and decoder come from torch; the label map and the scores are written here, as text that
can be read. The four are joined by the names of their tensors into one graph, so that a request
is one run of one session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, compose, helper, numpy_helper, parser

from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import BundleDamaged
from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.ood import (
    FUSED_NAMES,
    LOG_FLOOR,
    SCORE_NAMES,
    SMALLEST_SIGMA,
    FeatureDensity,
    FusedDensity,
    LatentPrior,
)
from rcmvae.ownership import OWNERSHIP_TEMPERATURE
from rcmvae.scaling import CENTRE, HIGHEST, LOWEST, WIDTH, Scaling
from rcmvae.uncertainty import entropy

Likelihood = Literal["bernoulli", "gaussian"]

OPSET = 20
IR_VERSION = 10

_MISFITS = (
    ValueError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    parser.ParseError,
)

_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    ENCODER: ("logits", "mu", "logvar", "features"),
    TAU: (
        "responsibilities",
        "channel",
        "probabilities",
        "total",
        "aleatoric",
        "channel_ambiguity",
        "label_map_ignorance",
        "responsibility",
        "unowned",
    ),
    DECODER: ("reconstruction",),
    SCORES: ("scores", "fused", "position"),
}

SERVED_OUTPUTS = (*_OUTPUTS[TAU], *_OUTPUTS[SCORES])

_HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["": {OPSET}]>'

# Entropies of rows of tau do not depend on the input, so the graph holds them as constants.
# The total is the sum of its parts, as in float32 it would miss that sum by up to 1e-5.
_TAU_TEXT = """
tau (float[N, {channels}] logits) => (
    float[N, {channels}] responsibilities, int64[N] channel, float[N, {labels}] probabilities,
    float[N] total, float[N] aleatoric, float[N] channel_ambiguity,
    float[N] label_map_ignorance, float[N] responsibility, float[N] unowned)
<float zero = {{0.0}}, float one = {{1.0}}, float tiny = {{1e-30}}, int64[1] last = {{1}}>
{{
    tempered = Div (logits, temperature)
    responsibilities = Softmax <axis = 1> (tempered)
    channel = ArgMax <axis = 1, keepdims = 0> (logits)
    probabilities = MatMul (responsibilities, tau)
    guarded = Max (probabilities, tiny)
    logarithm = Log (guarded)
    weighted = Mul (probabilities, logarithm)
    negative = ReduceSum <keepdims = 0> (weighted, last)
    raw_total = Neg (negative)
    conditional = MatMul (responsibilities, row_entropy)
    aleatoric = MatMul (responsibilities, row_expected_entropy)
    raw_ambiguity = Sub (raw_total, conditional)
    channel_ambiguity = Max (raw_ambiguity, zero)
    raw_ignorance = Sub (conditional, aleatoric)
    label_map_ignorance = Max (raw_ignorance, zero)
    epistemic = Add (channel_ambiguity, label_map_ignorance)
    total = Add (aleatoric, epistemic)
    sure = Mul (responsibilities, row_peak)
    surest = ReduceMax <keepdims = 0> (sure, last)
    responsibility = Sub (one, surest)
    softened = Div (logits, ownership_temperature)
    soft_responsibilities = Softmax <axis = 1> (softened)
    owned = MatMul (soft_responsibilities, ownership)
    unowned = Sub (one, owned)
}}
"""

_SELECT_TEXT = """
select (float[N, {channels}, {latent}] mu, int64[N] channel) => (float[N, {latent}] z)
<int64[1] batch = {{1}}>
{{
    row = Unsqueeze (channel, batch)
    picked = GatherND <batch_dims = 1> (mu, row)
    z = Identity (picked)
}}
"""

_AS_IT_IS = """
    flat_x = Reshape (x, flat)
"""

# rcmvae/scaling.py: what is decoded is in units of the width.
_SCALED = f"""
    raw_x = Reshape (x, flat)
    off_centre = Sub (raw_x, input_centre)
    units = Div (off_centre, input_width)
    shifted = Add (units, half)
    lowest = Constant <value = float {{{{{LOWEST}}}}}> ()
    highest = Constant <value = float {{{{{HIGHEST}}}}}> ()
    flat_x = Clip (shifted, lowest, highest)
"""

# -log p(x given z, k) of the whole input, above the least that the likelihood allows.
_BERNOULLI_ERROR = """
    log_r = Log (flat_r)
    inverse_r = Sub (one, flat_r)
    log_inverse_r = Log (inverse_r)
    inverse_x = Sub (one, flat_x)
    hit = Mul (flat_x, log_r)
    miss = Mul (inverse_x, log_inverse_r)
    log_likelihoods = Add (hit, miss)
    log_likelihood = ReduceSum <keepdims = 1> (log_likelihoods, last)
    reconstruction_error = Neg (log_likelihood)
"""

_GAUSSIAN_ERROR = """
    flat_sigma = Reshape (sigma, flat)
    missed = Sub (flat_x, flat_r)
    missed_unit = Div (missed, flat_sigma)
    missed_square = Mul (missed_unit, missed_unit)
    half_square = Mul (missed_square, half)
    relative_sigma = Div (flat_sigma, smallest_sigma)
    log_sigma = Log (relative_sigma)
    raw_errors = Add (half_square, log_sigma)
    errors = Max (raw_errors, zero)
    reconstruction_error = ReduceSum <keepdims = 1> (errors, last)
"""

_SCORES_TEXT = """
scores (float[N, {shape}] x, float[N, {channels}, {latent}] mu,
        float[N, {channels}, {latent}] logvar, float[N, {features}] features,
        int64[N] channel, float[N, {shape}] reconstruction{more_inputs})
    => (float[N, {scores}] scores, float[N] fused, float[N, 2] position)
<float zero = {{0.0}}, float one = {{1.0}}, float half = {{0.5}}, float tiny = {{1e-6}},
 float almost = {{0.999999}}, float smallest_sigma = {{{smallest_sigma}}},
 int64[2] flat = {{0, -1}}, int64[1] last = {{1}}, float floor = {{{log_floor}}}>
{{
    {scaled_x}
    decoded = Reshape (reconstruction, flat)
    flat_r = Clip (decoded, tiny, almost)
    {error}
    difference = Sub (flat_x, flat_r)
    squared = Mul (difference, difference)
    squared_error = ReduceSum <keepdims = 1> (squared, last)
    squared_x = Mul (flat_x, flat_x)
    raw_energy = ReduceSum <keepdims = 1> (squared_x, last)
    energy = Max (raw_energy, one)
    relative_reconstruction_error = Div (squared_error, energy)

    row = Unsqueeze (channel, last)
    z_mu = GatherND <batch_dims = 1> (mu, row)
    z_logvar = GatherND <batch_dims = 1> (logvar, row)
    own_mean = Gather <axis = 0> (prior_mean, channel)
    own_scale = Gather <axis = 0> (prior_scale, channel)
    own_logvar = Gather <axis = 0> (prior_logvar, channel)
    z_centred = Sub (z_mu, own_mean)
    z_unit = Div (z_centred, own_scale)
    u_logvar = Sub (z_logvar, own_logvar)
    z_square = Mul (z_unit, z_unit)
    z_variance = Exp (u_logvar)
    z_sum = Add (z_square, z_variance)
    z_less = Sub (z_sum, u_logvar)
    z_term = Sub (z_less, one)
    kl_sum = ReduceSum <keepdims = 1> (z_term, last)
    kl = Mul (kl_sum, half)
    negative_elbo = Add (reconstruction_error, kl)

    feature_mean = Gather <axis = 0> (feature_means, channel)
    centred = Sub (features, feature_mean)
    white = MatMul (centred, feature_whitener)
    white_square = Mul (white, white)
    mahalanobis = ReduceSum <keepdims = 1> (white_square, last)

    scores = Concat <axis = 1> ({score_names})
    seen = Concat <axis = 1> ({fused_names})
    floored = Add (seen, floor)
    logs = Log (floored)
    centred_logs = Sub (logs, fused_mean)
    white_logs = MatMul (centred_logs, fused_whitener)
    white_logs_square = Mul (white_logs, white_logs)
    fused = ReduceSum <keepdims = 0> (white_logs_square, last)

    anchor = Gather <axis = 0> (position_anchor, channel)
    offset = MatMul (z_centred, position_plane)
    position = Add (anchor, offset)
}}
"""


def tau_graph(
    label_map: LabelMap, temperature: float, ownership: NDArray[np.float64]
) -> ModelProto:
    """`tau.onnx`: from channel logits to label probabilities and uncertainty, without torch.

    Args:
        label_map: evidence and floor.
        temperature: divides the logits, > 0.
        ownership: how far labels speak for each channel, within [0, 1], (K,).
    """
    tau = label_map.tau
    spread = expected_entropy(label_map.counts, label_map.floor)
    text = _TAU_TEXT.format(channels=tau.shape[0], labels=tau.shape[1])
    constants = {
        "temperature": np.array(temperature),
        "tau": tau,
        "row_entropy": entropy(tau),
        "row_expected_entropy": spread,
        "row_peak": tau.max(axis=1),
        "ownership": ownership,
        "ownership_temperature": np.array(OWNERSHIP_TEMPERATURE),
    }
    return _model(text, constants)


def scores_graph(
    shape: Sequence[int],
    latent_dim: int,
    features: FeatureDensity,
    fused: FusedDensity,
    anchor: NDArray[np.floating],
    plane: NDArray[np.floating],
    *,
    prior: LatentPrior | None = None,
    likelihood: Likelihood = "bernoulli",
    scaling: Scaling | None = None,
) -> ModelProto:
    """`scores.onnx`: the scores of question 1, their fusion, and the position in the picture.

    Args:
        shape: shape of one input.
        latent_dim: d.
        features: density of the encoder's features.
        fused: density of the log scores.
        anchor: 2-D centre of every channel, (K, 2).
        plane: from a latent mean, less its prior's, to an offset in the picture, (d, 2).
        prior: of the latents; N(0, I) for every channel if None.
        likelihood: ``gaussian`` makes ``sigma`` of the shape of x one more input.
        scaling: of raw inputs; None where x is what is decoded.
    """
    prior = prior or LatentPrior.standard(len(features.means), latent_dim)
    sides = ", ".join(str(side) for side in shape)
    gaussian = likelihood == "gaussian"
    text = _SCORES_TEXT.format(
        shape=sides,
        more_inputs=f", float[N, {sides}] sigma" if gaussian else "",
        scaled_x=_AS_IT_IS if scaling is None else _SCALED.format(),
        error=_GAUSSIAN_ERROR if gaussian else _BERNOULLI_ERROR,
        smallest_sigma=SMALLEST_SIGMA,
        channels=len(features.means),
        latent=latent_dim,
        features=features.means.shape[1],
        scores=len(SCORE_NAMES),
        log_floor=LOG_FLOOR,
        score_names=", ".join(SCORE_NAMES),
        fused_names=", ".join(FUSED_NAMES),
    )
    constants: dict[str, NDArray[np.floating]] = {
        "feature_means": features.means,
        "feature_whitener": features.whitener,
        "fused_mean": fused.mean,
        "fused_whitener": fused.whitener,
        "position_anchor": anchor,
        "position_plane": plane,
        "prior_mean": prior.mean,
        "prior_scale": prior.scale,
        "prior_logvar": prior.logvar,
    }
    if scaling is not None:
        constants |= {CENTRE: scaling.centre, WIDTH: scaling.width}
    return _model(text, constants)


def _model(text: str, constants: Mapping[str, NDArray[np.floating]]) -> ModelProto:
    model = parser.parse_model(_HEADER + text)
    for name, value in constants.items():
        single = np.ascontiguousarray(value, dtype=np.float32)
        model.graph.initializer.append(numpy_helper.from_array(single, name))
    onnx.checker.check_model(model, full_check=True)
    return model


@dataclass(frozen=True, slots=True)
class Graphs:
    """The four graphs of a bundle, serialized."""

    encoder: bytes
    tau: bytes
    decoder: bytes
    scores: bytes


def served_graph(graphs: Graphs, outputs: Sequence[str]) -> bytes:
    """Join the bundle's graphs into the one that is served.

    Args:
        graphs: encoder, label map, decoder and scores.
        outputs: tensors that the joined graph returns.

    Returns:
        A serialized model from ``x`` to ``outputs``.

    Raises:
        BundleDamaged: the graphs do not fit each other.
    """
    encoder = _parse(ENCODER, graphs.encoder)
    parts = {
        ENCODER: encoder,
        TAU: _parse(TAU, graphs.tau),
        "selection": _selection(encoder),
        DECODER: _parse(DECODER, graphs.decoder),
        SCORES: _parse(SCORES, graphs.scores),
    }
    _check_fit(parts)
    try:
        joined = _join(parts, outputs)
        onnx.checker.check_model(joined, full_check=True)
    except _MISFITS as error:
        raise _damage(ENCODER, f"graphs do not join: {error}") from None
    return bytes(joined.SerializeToString())


def _parse(file: str, content: bytes) -> ModelProto:
    """One graph of the bundle, of the operator set and with the outputs of the format."""
    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        raise _damage(file, "expected a ModelProto, got other bytes") from None
    # Joined graphs share one operator set, and another one may mean something else by a name.
    versions = {o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}}
    if versions != {OPSET}:
        raise _damage(file, f"expected operator set {OPSET}, got {sorted(versions)}")
    missing = set(_OUTPUTS[file]) - {output.name for output in model.graph.output}
    if missing:
        raise _damage(file, f"expected outputs {_OUTPUTS[file]}, found no {min(missing)}")
    return model


def _damage(file: str, detail: str) -> BundleDamaged:
    return BundleDamaged("graph", file, detail)


def _selection(encoder: ModelProto) -> ModelProto:
    """The small graph that picks the latent of the best channel for the decoder."""
    mu = next(output for output in encoder.graph.output if output.name == "mu")
    shape = _signature(mu)[1]
    if len(shape) != 3:
        raise _damage(ENCODER, f"expected mu of shape (N, K, d), got {len(shape)} axes")
    text = _SELECT_TEXT.format(channels=shape[1], latent=shape[2])
    return parser.parse_model(_HEADER + text)


def _check_fit(parts: Mapping[str, ModelProto]) -> None:
    """Refuse a part whose inputs are not what the parts before it say they return.

    The checker would pass them: joined, only the first part keeps its declared inputs.
    """
    known = {value.name: _signature(value) for value in parts[ENCODER].graph.input}
    if known.keys() != {"x"}:
        raise _damage(ENCODER, f"expected one input x, got {sorted(known)}")
    for file, part in parts.items():
        for value in part.graph.input:
            actual, expected = _signature(value), known.get(value.name)
            if actual != expected:
                raise _damage(file, f"input {value.name}: expected {expected}, got {actual}")
        known |= {value.name: _signature(value) for value in part.graph.output}


def _signature(value: ValueInfoProto) -> tuple[int, tuple[int, ...]]:
    """Element type and shape of a tensor; an axis of free length is 0."""
    tensor = value.type.tensor_type
    return tensor.elem_type, tuple(axis.dim_value for axis in tensor.shape.dim)


def _join(parts: Mapping[str, ModelProto], outputs: Sequence[str]) -> ModelProto:
    """Put graphs one after another; tensors of the same public name are the same tensor."""
    private = [
        compose.add_prefix(part, f"{file}/", rename_inputs=False, rename_outputs=False).graph
        for file, part in parts.items()
    ]
    known = {o.name: o for graph in private for o in graph.output}
    joined = helper.make_graph(
        [node for graph in private for node in graph.node],
        "served",
        private[0].input,
        [known[name] for name in outputs],
        [initializer for graph in private for initializer in graph.initializer],
    )
    return helper.make_model(
        joined, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
