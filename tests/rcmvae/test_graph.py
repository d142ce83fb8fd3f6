"""The joined graph against its parts, and the refusal of parts that do not fit."""

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import BundleDamaged
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.ood import (
    FusedDensity,
    feature_density,
)
from rcmvae.scores_graph import Placement, scores_graph
from rcmvae.tau_graph import tau_graph
from tests.rcmvae.random_maps import random_map
from tests.rcmvae.served_run import run_graph, run_read
from tests.service.small_bundle import known_inputs, small_draft


def _contents() -> dict[str, bytes]:
    return {name: small_draft("v1").contents[name] for name in (ENCODER, TAU, DECODER, SCORES)}


def _serve(contents: dict[str, bytes], outputs: tuple[str, ...] = SERVED_OUTPUTS) -> bytes:
    return served_graph(Graphs(*(contents[n] for n in (ENCODER, TAU, DECODER, SCORES))), outputs)


def _refused(contents: dict[str, bytes], file: str, detail: str) -> None:
    with pytest.raises(BundleDamaged, match=detail) as damaged:
        _serve(contents)
    assert (damaged.value.check, damaged.value.file) == ("graph", file)


def test_the_joined_graph_is_its_parts_one_after_another() -> None:
    contents, x = _contents(), known_inputs(5, seed=3)
    encoded = run_graph(contents[ENCODER], x=x)
    told = run_graph(contents[TAU], logits=encoded["logits"])
    channel = told["channel"]
    z = encoded["mu"][np.arange(5), channel]
    decoded = run_graph(contents[DECODER], z=z, channel=channel)
    scored = run_read(
        onnx.load_from_string(contents[SCORES]),
        {
            "x": x,
            "z": z,
            "z_logvar": encoded["logvar"][np.arange(5), channel],
            **encoded,
            **told,
            **decoded,
        },
    )
    joined = run_graph(_serve(contents), x=x)
    assert tuple(joined) == SERVED_OUTPUTS
    for name, value in (told | scored).items():
        assert_allclose(joined[name], value, rtol=1e-5, atol=1e-6)


_PICKED = [
    helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=0),
    helper.make_node("Unsqueeze", ["best", "behind"], ["best_row"]),
    helper.make_node("GatherND", ["mu", "best_row"], ["best_mu"], batch_dims=1),
    helper.make_node("GatherND", ["logvar", "best_row"], ["picked_logvar"], batch_dims=1),
    helper.make_node("Add", ["picked_logvar", "one"], ["best_logvar"]),
]


def test_the_best_channels_latent_is_taken_from_an_encoder_that_offers_it() -> None:
    """Here with another log-variance, by which it is known."""
    contents, x = _contents(), known_inputs(5, seed=3)
    model = onnx.load_from_string(contents[ENCODER])
    constants = {"behind": np.array([1]), "one": np.array(1.0, dtype=np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    model.graph.node.extend(_PICKED)
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2])
        for name in ("best_mu", "best_logvar")
    )
    offering = contents | {ENCODER: model.SerializeToString()}
    outputs = ("z", "z_logvar", "logvar", "channel")
    plain, offered = (run_graph(_serve(c, outputs), x=x) for c in (contents, offering))
    rows = np.arange(5)
    assert_array_equal(plain["z_logvar"], plain["logvar"][rows, plain["channel"]])
    assert_array_equal(offered["z_logvar"], plain["z_logvar"] + 1.0)
    assert_array_equal(offered["z"], plain["z"])


def test_scores_of_an_earlier_version_pick_the_latent_themselves() -> None:
    contents, x = _contents(), known_inputs(5, seed=3)
    model = onnx.load_from_string(contents[SCORES])
    kept = [value for value in model.graph.input if value.name not in ("z", "z_logvar")]
    all_channels = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, 2])
        for name in ("mu", "logvar")
    ]
    picks = [
        helper.make_node("Unsqueeze", ["channel", "last"], ["row"]),
        helper.make_node("GatherND", ["mu", "row"], ["z"], batch_dims=1),
        helper.make_node("GatherND", ["logvar", "row"], ["z_logvar"], batch_dims=1),
    ]
    nodes = [*picks, *model.graph.node]
    del model.graph.input[:], model.graph.node[:]
    model.graph.input.extend([*kept, *all_channels])
    model.graph.node.extend(nodes)
    earlier = contents | {SCORES: model.SerializeToString()}
    expected, served = (run_graph(_serve(c), x=x) for c in (contents, earlier))
    for name, value in expected.items():
        assert_array_equal(served[name], value)


def test_any_tensor_of_the_parts_can_be_returned() -> None:
    outputs = ("logits", "reconstruction", "fused")
    joined = run_graph(_serve(_contents(), outputs), x=known_inputs(2, seed=0))
    assert [value.shape for value in joined.values()] == [(2, 3), (2, 2, 3), (2,)]


def test_what_no_output_needs_is_left_out() -> None:
    """ONNX Runtime would run it all the same."""
    few = onnx.load_from_string(_serve(_contents(), ("channel",)))
    assert [node.op_type for node in few.graph.node] == ["Reshape", "MatMul", "Add", "ArgMax"]
    assert len(few.graph.initializer) == 3


def test_parts_may_have_the_same_name() -> None:
    contents = _contents()
    for file, content in contents.items():
        model = onnx.load_from_string(content)
        model.graph.name = "main_graph"
        contents[file] = model.SerializeToString()
    assert run_graph(_serve(contents), x=known_inputs(2, seed=0)).keys() == set(SERVED_OUTPUTS)


@pytest.mark.parametrize("file", [ENCODER, TAU, DECODER, SCORES])
def test_other_bytes_are_refused(file: str) -> None:
    _refused(_contents() | {file: b"\xff not a graph"}, file, "expected a ModelProto")


@pytest.mark.parametrize("file", [ENCODER, TAU, DECODER, SCORES])
def test_another_operator_set_is_refused(file: str) -> None:
    contents = _contents()
    model = onnx.load_from_string(contents[file])
    model.opset_import[0].version = 17
    _refused(contents | {file: model.SerializeToString()}, file, r"expected operator set 20, .*17")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (ENCODER, "logits"),
        (ENCODER, "mu"),
        (ENCODER, "logvar"),
        (ENCODER, "features"),
        (TAU, "channel"),
        (TAU, "probabilities"),
        (TAU, "responsibility"),
        (TAU, "unowned"),
        (DECODER, "reconstruction"),
        (SCORES, "scores"),
        (SCORES, "fused"),
        (SCORES, "position"),
    ],
)
def test_an_output_of_another_name_is_refused(file: str, name: str) -> None:
    contents = _contents()
    content = _renamed(contents[file], name)
    _refused(contents | {file: content}, file, f"found no {name}$")


@pytest.mark.parametrize(
    ("file", "name", "detail"),
    [
        (ENCODER, "x", r"expected one input x, got \['other'\]"),
        (TAU, "logits", "input other"),
        (DECODER, "z", "input other"),
        (SCORES, "z", "input other"),
    ],
)
def test_an_input_of_another_name_is_refused(file: str, name: str, detail: str) -> None:
    contents = _contents()
    _refused(contents | {file: _renamed(contents[file], name)}, file, detail)


def _renamed(content: bytes, name: str) -> bytes:
    """The graph with one tensor called "other" wherever it occurs."""
    model = onnx.load_from_string(content)
    for node in model.graph.node:
        node.input[:] = ["other" if n == name else n for n in node.input]
        node.output[:] = ["other" if n == name else n for n in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = "other" if value.name == name else value.name
    return bytes(model.SerializeToString())


def test_a_label_map_of_other_channels_is_refused() -> None:
    content = tau_graph(random_map(0, channels=4), 1.0, np.zeros(4)).SerializeToString()
    _refused(_contents() | {TAU: content}, TAU, "input logits: expected")


@pytest.mark.parametrize(
    ("channels", "latent", "features", "shape", "name"),
    [
        (4, 2, 6, (2, 3), "logits"),
        (3, 3, 6, (2, 3), "z"),
        (3, 2, 5, (2, 3), "features"),
        (3, 2, 6, (3, 2), "x"),
        (3, 2, 6, (1, 2, 3), "x"),
    ],
)
def test_scores_of_another_model_are_refused(
    channels: int, latent: int, features: int, shape: tuple[int, ...], name: str
) -> None:
    density = feature_density(np.zeros((channels, features)), np.eye(features), axes=1)
    texture = feature_density(np.zeros((channels, 2)), np.eye(2), axes=1)
    placement = Placement(np.zeros((channels, 2)), np.zeros((latent, 2)))
    model = scores_graph(shape, density, texture, FusedDensity.open(), placement)
    content = model.SerializeToString()
    _refused(_contents() | {SCORES: content}, SCORES, f"input {name}: expected")


def test_a_latent_of_the_wrong_shape_is_refused() -> None:
    contents = _contents()
    model = onnx.load_from_string(contents[ENCODER])
    mu = next(output for output in model.graph.output if output.name == "mu")
    del mu.type.tensor_type.shape.dim[2]
    content = model.SerializeToString()
    _refused(contents | {ENCODER: content}, ENCODER, r"shape \(N, K, d\), got 2 axes")


def test_a_graph_that_breaks_its_own_word_is_refused() -> None:
    """The inputs fit as declared; what the nodes do with them does not."""
    contents = _contents()
    model = onnx.load_from_string(contents[TAU])
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "spoken")
    weights.dims[:] = [5, 3]
    content = model.SerializeToString()
    _refused(contents | {TAU: content}, ENCODER, "graphs do not join")
