"""Sampled uncertainty: its split, its draws, and what it does not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import stats

from rcmvae.bundle import load_bundle
from rcmvae.bundle.manifest import DECODER
from rcmvae.predictor import Predictor
from rcmvae.sampled import SampledChannel, Sampling, _draw, summarise
from rcmvae.scaling import read_scaling
from tests.rcmvae.served_run import run_graph
from tests.service.small_bundle import UNLABELLED, known_inputs, publish_small


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    models = tmp_path_factory.mktemp("sampled")
    publish_small(models, "v1")
    return Predictor.open(load_bundle(models / "v1"))


@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_the_split_is_that_of_scipy(seed: int, inputs: int, draws: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    answers = rng.dirichlet(np.full(labels, 0.3), (inputs, draws))
    sampled = summarise(answers)
    assert_allclose(sampled.probabilities, answers.mean(axis=1))
    assert_allclose(sampled.total, stats.entropy(answers.mean(axis=1), axis=1), atol=1e-9)
    assert_allclose(sampled.expected, stats.entropy(answers, axis=2).mean(axis=1), atol=1e-9)
    assert_allclose(sampled.expected + sampled.mutual_information, sampled.total, atol=1e-6)
    assert sampled.mutual_information.min() >= 0.0


def test_draws_that_agree_hold_no_information() -> None:
    answers = np.broadcast_to(np.array([0.7, 0.3]), (2, 5, 2))
    assert_allclose(summarise(answers).mutual_information, 0.0, atol=1e-12)


def test_draws_that_contradict_each_other_hold_all_of_it() -> None:
    sampled = summarise(np.array([[[1.0, 0.0], [0.0, 1.0]]]))
    assert_allclose(sampled.mutual_information, np.log(2))


def drawn(
    channel: SampledChannel, draws: int, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    r = np.array([0.6, 0.3, 0.1], dtype=np.float32)
    mu = np.array([[0.0, 5.0], [10.0, -5.0], [20.0, 0.0]], dtype=np.float32)
    logvar = np.log(np.array([[1.0, 4.0], [0.25, 1.0], [1.0, 1.0]], dtype=np.float32))
    return _draw(np.zeros(4, np.float32), r, mu, logvar, Sampling(draws, seed, channel))


def test_the_best_channel_is_drawn_from_its_own_posterior() -> None:
    channel, z = drawn("best", 20_000)
    assert set(channel.tolist()) == {0}
    assert_allclose(z.mean(axis=0), [0.0, 5.0], atol=0.06)
    assert_allclose(z.std(axis=0), [1.0, 2.0], rtol=0.03)
    assert z.dtype == np.float32


def test_a_drawn_channel_follows_the_responsibilities() -> None:
    channel, z = drawn("drawn", 20_000)
    assert_allclose(np.bincount(channel) / 20_000, [0.6, 0.3, 0.1], atol=0.015)
    assert_allclose(z[channel == 1].mean(axis=0), [10.0, -5.0], atol=0.06)


def test_the_seed_decides_the_draws() -> None:
    assert_array_equal(drawn("drawn", 5)[1], drawn("drawn", 5)[1])
    assert np.abs(drawn("drawn", 5)[1] - drawn("drawn", 5, seed=1)[1]).max() > 0


@pytest.mark.parametrize("channel", ["best", "drawn"])
def test_an_input_has_the_same_draws_in_every_batch(
    predictor: Predictor, channel: SampledChannel
) -> None:
    x = np.concatenate([known_inputs(3, seed=1), np.full((1, 2, 3), 0.5, dtype=np.float32)])
    sampling = Sampling(4, 3, channel)
    among = predictor.predict(x, sampling=sampling).sampled
    assert among is not None
    for i in range(len(x)):
        alone = predictor.predict(x[i : i + 1], sampling=sampling).sampled
        assert alone is not None
        assert_allclose(alone.probabilities[0], among.probabilities[i], atol=1e-6)
    twice = predictor.predict(x[[0, 0]], sampling=sampling).sampled
    assert twice is not None
    assert_array_equal(twice.probabilities[0], twice.probabilities[1])


def test_answers_are_those_of_what_was_decoded(
    predictor: Predictor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By hand: draw, decode, predict anew."""
    models = tmp_path_factory.mktemp("again")
    publish_small(models, "v1")
    x = np.array([UNLABELLED], dtype=np.float32).reshape(1, 2, 3) * 0.7
    sampled = predictor.predict(x, sampling=Sampling(6, 11)).sampled
    r = predictor.predict(x).responsibilities[0]
    # The small encoder's mu is x itself in pairs, its variance one.
    channel, z = _draw(x[0], r, x[0].reshape(3, 2), np.zeros((3, 2), np.float32), Sampling(6, 11))
    decoder = load_bundle(models / "v1").read(DECODER)
    again = run_graph(decoder, z=z, channel=channel)["reconstruction"]
    assert sampled is not None
    expected = predictor.predict(again).probabilities.astype(np.float64).mean(axis=0)
    assert_allclose(sampled.probabilities[0], expected, atol=1e-6)


def test_without_a_scaling_the_scores_have_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    models = tmp_path_factory.mktemp("plain")
    publish_small(models, "v1")
    assert read_scaling(load_bundle(models / "v1").read("scores.onnx")) is None
