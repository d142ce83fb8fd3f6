"""The graphs written here against NumPy in float64, and the refusal of graphs that do not fit."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from onnx import ModelProto
from scipy.special import softmax, xlog1py, xlogy
from scipy.stats import norm

from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.errors import BundleDamaged
from rcmvae.graph import SERVED_OUTPUTS, Graphs, Likelihood, scores_graph, served_graph, tau_graph
from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.ood import SCORE_NAMES, SMALLEST_SIGMA, FeatureDensity, FusedDensity, LatentPrior
from rcmvae.uncertainty import decompose
from tests.rcmvae.random_maps import label_maps, random_map
from tests.rcmvae.served_run import Arrays, run_graph
from tests.service.small_bundle import known_inputs, small_draft

PARTS = ("total", "aleatoric", "channel_ambiguity", "label_map_ignorance")


def _logits(label_map: LabelMap, scale: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=(6, label_map.num_channels))).astype(np.float32)


@settings(max_examples=30)
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


SHAPE, CHANNELS, LATENT, FEATURES = (1, 2, 3), 3, 2, 4


def _scores_model(
    seed: int, prior: LatentPrior | None = None, likelihood: Likelihood = "bernoulli"
) -> tuple[ModelProto, FeatureDensity, FusedDensity, Arrays]:
    rng = np.random.default_rng(seed)
    features = FeatureDensity(rng.normal(size=(CHANNELS, FEATURES)), rng.normal(size=(4, 4)))
    fused = FusedDensity(rng.normal(size=4), rng.normal(size=(4, 4)))
    picture: Arrays = {"anchor": rng.normal(size=(CHANNELS, 2)), "plane": rng.normal(size=(2, 2))}
    model = scores_graph(
        SHAPE,
        LATENT,
        features,
        fused,
        picture["anchor"],
        picture["plane"],
        prior=prior,
        likelihood=likelihood,
    )
    return model, features, fused, picture


def _scores_inputs(seed: int, count: int = 5) -> Arrays:
    rng = np.random.default_rng(seed)
    x = rng.random((count, *SHAPE))
    single: Arrays = {
        "x": np.where(x < 0.3, 0.0, x),
        "mu": rng.normal(size=(count, CHANNELS, LATENT)),
        "logvar": rng.normal(size=(count, CHANNELS, LATENT)),
        "features": rng.normal(size=(count, FEATURES)),
        "reconstruction": 0.01 + 0.98 * rng.random((count, *SHAPE)),
    }
    cast: Arrays = {name: value.astype(np.float32) for name, value in single.items()}
    return cast | {"channel": rng.integers(0, CHANNELS, count)}


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_scores_graph_agrees_with_numpy(seed: int) -> None:
    model, features, fused, picture = _scores_model(seed)
    inputs = _scores_inputs(seed)
    served = run_graph(model, **inputs)
    wide = {n: v.astype(np.float64) for n, v in inputs.items() if n != "channel"}
    channel = inputs["channel"]
    rows, axes = np.arange(len(channel)), (1, 2, 3)
    x, decoded = wide["x"], wide["reconstruction"]
    mu, logvar = wide["mu"][rows, channel], wide["logvar"][rows, channel]
    error = -(xlogy(x, decoded) + xlog1py(1 - x, -decoded)).sum(axis=axes)
    relative = ((x - decoded) ** 2).sum(axis=axes) / np.maximum((x**2).sum(axis=axes), 1.0)
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1.0).sum(axis=1)
    distance = features.distance(wide["features"], channel)
    expected = np.column_stack([error, relative, kl, error + kl, distance])
    assert_allclose(served["scores"], expected, rtol=1e-4, atol=1e-5)
    assert_allclose(served["fused"], fused.score(expected), rtol=1e-3, atol=1e-3)
    position = picture["anchor"][channel] + mu @ picture["plane"]
    assert_allclose(served["position"], position, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_another_prior_and_a_gaussian_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = LatentPrior(rng.normal(size=(CHANNELS, LATENT)), rng.normal(size=(CHANNELS, LATENT)))
    model, _, fused, picture = _scores_model(seed, prior, "gaussian")
    inputs = _scores_inputs(seed)
    sigma = rng.uniform(SMALLEST_SIGMA, 0.5, size=inputs["x"].shape).astype(np.float32)
    served = run_graph(model, sigma=sigma, **inputs)
    channel, rows = inputs["channel"], np.arange(5)
    x, decoded = inputs["x"].astype(np.float64), inputs["reconstruction"].astype(np.float64)
    best = norm.logpdf(0.0, scale=SMALLEST_SIGMA)
    error = np.sum(best - norm.logpdf(x, decoded, sigma), axis=(1, 2, 3))
    mu, logvar = (inputs[n].astype(np.float64)[rows, channel] for n in ("mu", "logvar"))
    mean, wide = prior.mean[channel], prior.logvar[channel]
    ratio = (np.exp(logvar) + (mu - mean) ** 2) / np.exp(wide)
    kl = 0.5 * (ratio - 1.0 + wide - logvar).sum(axis=1)
    scores = served["scores"]
    assert_allclose(scores[:, 0], error, rtol=1e-4, atol=1e-4)
    assert_allclose(scores[:, 2], kl, rtol=1e-3, atol=1e-4)
    assert_allclose(scores[:, 3], error + kl, rtol=1e-3, atol=1e-3)
    assert (scores >= 0.0).all()
    assert_allclose(served["fused"], fused.score(scores), rtol=1e-3, atol=1e-3)
    position = picture["anchor"][channel] + (mu - mean) @ picture["plane"]
    assert_allclose(served["position"], position, atol=1e-5)


def test_a_perfect_gaussian_decoding_has_no_error() -> None:
    inputs = _scores_inputs(0)
    inputs["reconstruction"] = inputs["x"].clip(1e-6, 0.999999)
    sigma = np.full_like(inputs["x"], SMALLEST_SIGMA)
    served = run_graph(_scores_model(0, likelihood="gaussian")[0], sigma=sigma, **inputs)
    assert_allclose(served["scores"][:, 0], 0.0, atol=1e-5)
    assert np.isfinite(served["fused"]).all()


def test_scores_stay_finite_where_the_decoder_is_sure_and_wrong() -> None:
    inputs = _scores_inputs(0, count=4)
    white = np.array([0.0, 1.0, 0.0, 1.0], dtype=np.float32).reshape(4, 1, 1, 1)
    inputs["x"] = np.broadcast_to(white, (4, *SHAPE)).astype(np.float32)
    inputs["reconstruction"] = np.broadcast_to(white[::-1], (4, *SHAPE)).astype(np.float32)
    served = run_graph(_scores_model(0)[0], **inputs)
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
    fitting = {name: encoded[name] for name in ("mu", "logvar", "features")}
    scored = run_graph(contents[SCORES], x=x, channel=channel, **fitting, **decoded)
    joined = run_graph(_serve(contents), x=x)
    assert tuple(joined) == SERVED_OUTPUTS
    for name, value in (told | scored).items():
        assert_allclose(joined[name], value, rtol=1e-5, atol=1e-6)


def test_any_tensor_of_the_parts_can_be_returned() -> None:
    outputs = ("logits", "reconstruction", "fused")
    joined = run_graph(_serve(_contents(), outputs), x=known_inputs(2, seed=0))
    assert [value.shape for value in joined.values()] == [(2, 3), (2, 2, 3), (2,)]


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
        (SCORES, "mu", "input other"),
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
        (4, 2, 6, (2, 3), "mu"),
        (3, 3, 6, (2, 3), "mu"),
        (3, 2, 5, (2, 3), "features"),
        (3, 2, 6, (3, 2), "x"),
        (3, 2, 6, (1, 2, 3), "x"),
    ],
)
def test_scores_of_another_model_are_refused(
    channels: int, latent: int, features: int, shape: tuple[int, ...], name: str
) -> None:
    density = FeatureDensity(np.zeros((channels, features)), np.eye(features))
    fused = FusedDensity(np.zeros(4), np.eye(4))
    plane = np.zeros((latent, 2))
    model = scores_graph(shape, latent, density, fused, np.zeros((channels, 2)), plane)
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
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "tau")
    weights.dims[:] = [2, 3]
    content = model.SerializeToString()
    _refused(contents | {TAU: content}, ENCODER, "graphs do not join")


def test_score_names_are_the_columns_of_the_graph() -> None:
    served = run_graph(_scores_model(1)[0], **_scores_inputs(1))
    assert served["scores"].shape[1] == len(SCORE_NAMES)
