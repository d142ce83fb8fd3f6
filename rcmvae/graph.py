"""The graphs of a bundle, joined into the one that is served.

Encoder and decoder come from torch; label map and scores are written by `tau_graph` and
`scores_graph`. The four are joined by the names of their tensors, so that a request is one run of
one session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, ValueInfoProto, compose, helper, parser

from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import BundleDamaged
from rcmvae.graph_text import IR_VERSION, OPSET, parsed

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

LABEL_MAP_OUTPUTS = _OUTPUTS[TAU]
SERVED_OUTPUTS = (*LABEL_MAP_OUTPUTS, *_OUTPUTS[SCORES])

BEST_LATENTS = ("best_mu", "best_logvar")
"""What an encoder may offer beside: the moments of the best channel, without those of the others.

An encoder of before there were these offers those of all channels alone.
"""

_OFFERED_TEXT = """
offered (float[N, {latent}] best_mu, float[N, {latent}] best_logvar)
    => (float[N, {latent}] z, float[N, {latent}] z_logvar)
{{
    z = Identity (best_mu)
    z_logvar = Identity (best_logvar)
}}
"""

_SELECT_TEXT = """
select (float[N, {channels}, {latent}] mu, float[N, {channels}, {latent}] logvar,
        int64[N] channel) => (float[N, {latent}] z, float[N, {latent}] z_logvar)
<int64[1] batch = {{1}}>
{{
    row = Unsqueeze (channel, batch)
    z = GatherND <batch_dims = 1> (mu, row)
    z_logvar = GatherND <batch_dims = 1> (logvar, row)
}}
"""


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
    """The small graph that names the latent of the best channel, for decoder and scores."""
    offered = {output.name: output for output in encoder.graph.output}
    shape = _signature(offered["mu"])[1]
    if len(shape) != 3:
        raise _damage(ENCODER, f"expected mu of shape (N, K, d), got {len(shape)} axes")
    text = _OFFERED_TEXT if offered.keys() >= set(BEST_LATENTS) else _SELECT_TEXT
    return parsed(text.format(channels=shape[1], latent=shape[2]))


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
    nodes = _needed([node for graph in private for node in graph.node], outputs)
    read = {name for node in nodes for name in node.input}
    joined = helper.make_graph(
        nodes,
        "served",
        private[0].input,
        [known[name] for name in outputs],
        [part for graph in private for part in graph.initializer if part.name in read],
    )
    return helper.make_model(
        joined, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )


def _needed(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> list[NodeProto]:
    """The nodes that the outputs depend on, in their order: ONNX Runtime would run all of them."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
