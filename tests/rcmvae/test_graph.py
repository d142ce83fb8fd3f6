"""The graphs written here against NumPy in float64, and the refusal of graphs that do not fit."""

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from scipy.special import logit, logsumexp, softmax, xlog1py, xlogy
from scipy.stats import norm

from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import BundleDamaged
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph
from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.ood import (
    NUM_TYPICAL,
    SCORE_NAMES,
    SMALLEST_SIGMA,
    FeatureDensity,
    FusedDensity,
    LatentPrior,
    feature_density,
)
from rcmvae.scores_graph import Likelihood, Placement, scores_graph
from rcmvae.tau_graph import tau_graph
from rcmvae.uncertainty import decompose
from tests.rcmvae.random_maps import label_maps, random_map
from tests.rcmvae.served_run import Arrays, run_graph
from tests.service.small_bundle import known_inputs, small_draft

PARTS = ("total", "aleatoric", "channel_ambiguity", "label_map_ignorance")


def _logits(label_map: LabelMap, scale: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=(6, label_map.num_channels))).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    label_maps(),
    st.sampled_from([0.0, 1.0, 30.0, 1e4, 1e30]),
    st.sampled_from([0.125, 1.0, 8.0]),
)
def test_label_map_graph_agrees_with_the_reference(
    label_map: LabelMap, scale: float, temperature: float
) -> None:
    logits = _logits(label_map, scale)
    ownership = np.linspace(0.0, 1.0, label_map.num_channels)
    served = run_graph(tau_graph(label_map, temperature, ownership), logits=logits)
    r = softmax(logits.astype(np.float64) / temperature, axis=1)
    split = decompose(r, label_map.tau, expected_entropy(label_map.counts, label_map.alpha0))
    assert_allclose(served["responsibilities"], r, atol=1e-6)
    assert_allclose(served["probabilities"], r @ label_map.tau, atol=1e-6)
    assert_array_equal(served["channel"], logits.argmax(axis=1))
    for name in PARTS:
        assert_allclose(served[name], getattr(split, name), atol=2e-6)


@pytest.mark.parametrize("labels", [1, 2, 10, 1000])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_served_parts_sum_to_the_served_total(labels: int, scale: float) -> None:
    """Also where a thousand labels make float32 lose more than the bound in one sum."""
    label_map = random_map(0, channels=40, labels=labels, examples=50, alpha0=0.01)
    graph = tau_graph(label_map, 1.3, np.zeros(40))
    served = run_graph(graph, logits=_logits(label_map, scale))
    total, *parts = (served[name].astype(np.float64) for name in PARTS)
    assert_allclose(sum(parts), total, atol=1e-6)
    assert min(part.min() for part in parts) >= 0.0


SHAPE, CHANNELS, LATENT, FEATURES, TEXTURE = (1, 2, 3), 3, 2, 4, 3


@dataclass(frozen=True)
class _Densities:
    features: FeatureDensity
    texture: FeatureDensity
    fused: FusedDensity
    placement: Placement


def _random_density(rng: np.random.Generator, size: int) -> FeatureDensity:
    root = rng.normal(size=(size, size))
    covariance = root @ root.T + 0.1 * np.eye(size)
    return feature_density(rng.normal(size=(CHANNELS, size)), covariance, axes=2)


def _densities(seed: int) -> _Densities:
    rng = np.random.default_rng(seed)
    fused = FusedDensity(
        mean=rng.normal(size=NUM_TYPICAL),
        whitener=rng.normal(size=(NUM_TYPICAL, NUM_TYPICAL)),
        centre=rng.normal(size=3),
        spread=rng.uniform(0.2, 2.0, size=3),
    )
    placement = Placement(rng.normal(size=(CHANNELS, 2)), rng.normal(size=(LATENT, 2)))
    return _Densities(
        _random_density(rng, FEATURES), _random_density(rng, TEXTURE), fused, placement
    )


def _scores_model(
    d: _Densities, prior: LatentPrior | None = None, likelihood: Likelihood = "bernoulli"
) -> ModelProto:
    return scores_graph(
        SHAPE, d.features, d.texture, d.fused, d.placement, prior=prior, likelihood=likelihood
    )


def _scores_inputs(seed: int, count: int = 5) -> Arrays:
    """As a Bernoulli decoder gives them; a Gaussian one has sigma for the logits."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, *SHAPE))
    decoded = 0.01 + 0.98 * rng.random((count, *SHAPE))
    logits = 3.0 * rng.normal(size=(count, CHANNELS))
    single: Arrays = {
        "x": np.where(x < 0.3, 0.0, x),
        "logits": logits,
        "responsibilities": softmax(logits, axis=1),
        "z": rng.normal(size=(count, LATENT)),
        "z_logvar": rng.normal(size=(count, LATENT)),
        "features": rng.normal(size=(count, FEATURES)),
        "texture_maps": rng.normal(size=(count, TEXTURE)),
        "reconstruction": decoded,
        "reconstruction_logits": logit(decoded),
    }
    cast: Arrays = {name: value.astype(np.float32) for name, value in single.items()}
    return cast | {"channel": rng.integers(0, CHANNELS, count)}


def _scored(model: ModelProto, inputs: Arrays) -> Arrays:
    """What the graph says of those of the inputs that it reads."""
    read = {value.name for value in model.graph.input}
    return run_graph(model, **{name: inputs[name] for name in inputs if name in read})


def _gaussian(inputs: Arrays, sigma: NDArray[np.float32]) -> Arrays:
    rest = {name: value for name, value in inputs.items() if name != "reconstruction_logits"}
    return rest | {"sigma": sigma}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_graph_agrees_with_numpy(seed: int) -> None:
    densities = _densities(seed)
    inputs = _scores_inputs(seed)
    served = _scored(_scores_model(densities), inputs)
    wide = {n: v.astype(np.float64) for n, v in inputs.items() if n != "channel"}
    channel = inputs["channel"]
    axes = (1, 2, 3)
    x, decoded = wide["x"], wide["reconstruction"]
    mu, logvar = wide["z"], wide["z_logvar"]
    error = -(xlogy(x, decoded) + xlog1py(1 - x, -decoded)).sum(axis=axes)
    relative = ((x - decoded) ** 2).sum(axis=axes) / np.maximum((x**2).sum(axis=axes), 1.0)
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1.0).sum(axis=1)
    mixed = 0.5 * (1.0 - wide["responsibilities"].max(axis=1)) + 0.5 * relative
    columns = [
        *(error, relative, kl, error + kl, mixed),
        (x**2).sum(axis=axes),
        -logsumexp(wide["logits"], axis=1),
        densities.features.distance(wide["features"], channel),
        densities.texture.distance(wide["texture_maps"], channel),
    ]
    expected = np.column_stack([*columns, np.zeros(len(x))])
    expected[:, -1] = densities.fused.atypicality(expected)
    assert_allclose(served["scores"], expected, rtol=1e-3, atol=1e-4)
    assert_allclose(served["fused"], densities.fused.score(expected), rtol=1e-3, atol=5e-3)
    position = densities.placement.anchor[channel] + mu @ densities.placement.plane
    assert_allclose(served["position"], position, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_another_prior_and_a_gaussian_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = LatentPrior(rng.normal(size=(CHANNELS, LATENT)), rng.normal(size=(CHANNELS, LATENT)))
    densities = _densities(seed)
    inputs = _scores_inputs(seed)
    sigma = rng.uniform(SMALLEST_SIGMA, 0.5, size=inputs["x"].shape).astype(np.float32)
    model = _scores_model(densities, prior, "gaussian")
    served = _scored(model, _gaussian(inputs, sigma))
    channel = inputs["channel"]
    x, decoded = inputs["x"].astype(np.float64), inputs["reconstruction"].astype(np.float64)
    best = norm.logpdf(0.0, scale=SMALLEST_SIGMA)
    error = np.sum(best - norm.logpdf(x, decoded, sigma), axis=(1, 2, 3))
    mu, logvar = (inputs[n].astype(np.float64) for n in ("z", "z_logvar"))
    mean, wide = prior.mean[channel], prior.logvar[channel]
    ratio = (np.exp(logvar) + (mu - mean) ** 2) / np.exp(wide)
    kl = 0.5 * (ratio - 1.0 + wide - logvar).sum(axis=1)
    scores = dict(zip(SCORE_NAMES, served["scores"].T, strict=True))
    assert_allclose(scores["reconstruction_error"], error, rtol=1e-4, atol=1e-4)
    assert_allclose(scores["kl"], kl, rtol=1e-3, atol=1e-4)
    assert_allclose(scores["negative_elbo"], error + kl, rtol=1e-3, atol=1e-3)
    assert min(scores[name].min() for name in SCORE_NAMES if name != "logit_energy") >= 0.0
    fused = densities.fused.score(served["scores"])
    assert_allclose(served["fused"], fused, rtol=1e-3, atol=1e-3)
    position = densities.placement.anchor[channel] + (mu - mean) @ densities.placement.plane
    assert_allclose(served["position"], position, atol=1e-5)


def test_a_perfect_gaussian_decoding_has_no_error() -> None:
    inputs = _scores_inputs(0)
    inputs["reconstruction"] = inputs["x"].clip(1e-6, 0.999999)
    sigma = np.full_like(inputs["x"], SMALLEST_SIGMA)
    model = _scores_model(_densities(0), likelihood="gaussian")
    served = _scored(model, _gaussian(inputs, sigma))
    assert_allclose(served["scores"][:, 0], 0.0, atol=1e-5)
    assert np.isfinite(served["fused"]).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, TEXTURE]))
def test_a_distance_keeps_its_digits_where_variances_differ_a_thousandfold(
    seed: int, axes: int
) -> None:
    """Also in units that differ, far from zero, and with as many axes as values."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(TEXTURE, TEXTURE)))[0]
    means = rng.normal(size=(CHANNELS, TEXTURE))
    covariance = turn @ np.diag([1e-3, 0.1, 1.0]) @ turn.T
    density = feature_density(means, covariance, axes, scale=np.array([0.1, 1.0, 3.0]))
    model = _scores_model(replace(_densities(seed), texture=density))
    inputs = _scores_inputs(seed)
    expected = density.distance(inputs["texture_maps"].astype(np.float64), inputs["channel"])
    served = _scored(model, inputs)["scores"][:, SCORE_NAMES.index("texture")]
    assert_allclose(served, expected, rtol=1e-4)


def test_a_distance_far_away_does_not_overflow() -> None:
    inputs = _scores_inputs(0)
    inputs["features"] = np.full_like(inputs["features"], 1e9)
    fused = _scored(_scores_model(_densities(0)), inputs)["fused"]
    assert np.isfinite(fused).all()
    assert fused.min() > 10.0


def test_scores_stay_finite_where_the_decoder_is_sure_and_wrong() -> None:
    inputs = _scores_inputs(0, count=4)
    white = np.array([0.0, 1.0, 0.0, 1.0], dtype=np.float32).reshape(4, 1, 1, 1)
    inputs["x"] = np.broadcast_to(white, (4, *SHAPE)).astype(np.float32)
    inputs["reconstruction"] = np.broadcast_to(white[::-1], (4, *SHAPE)).astype(np.float32)
    inputs["reconstruction_logits"] = (inputs["reconstruction"] - 0.5) * np.float32(1e4)
    served = _scored(_scores_model(_densities(0)), inputs)
    assert np.isfinite(served["scores"]).all()
    assert np.isfinite(served["fused"]).all()
    assert served["scores"][:, 0].min() > 50.0


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
    scored = _scored(
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


def test_score_names_are_the_columns_of_the_graph() -> None:
    served = _scored(_scores_model(_densities(1)), _scores_inputs(1))
    assert served["scores"].shape[1] == len(SCORE_NAMES)
