"""The decoder's own noise: there under a Gaussian likelihood, and nowhere else."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose
from onnx import TensorProto, helper, numpy_helper

from rcmvae.bundle import Bundle, load_bundle
from rcmvae.bundle.manifest import DECODER
from rcmvae.predictor import Predictor
from tests.service.small_bundle import CIRCLE, SHAPE, SQUARE, publish_small

SIGMAS = [[0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [0.3, 0.1, 0.1, 0.1, 0.1, 0.5], [0.2] * 6]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = tmp_path_factory.mktemp("noise")
    publish_small(models, "v1")
    return load_bundle(models / "v1")


@pytest.fixture(scope="module")
def gaussian(bundle: Bundle) -> Bundle:
    """The small bundle with a decoder that also says how noisy each value is."""
    decoder = onnx.load_from_string(bundle.read(DECODER))
    own = np.array(SIGMAS, dtype=np.float32).reshape(3, *SHAPE)
    decoder.graph.initializer.append(numpy_helper.from_array(own, "own"))
    decoder.graph.node.append(helper.make_node("Gather", ["own", "channel"], ["sigma"]))
    sigma = helper.make_tensor_value_info("sigma", TensorProto.FLOAT, ["N", *SHAPE])
    decoder.graph.output.append(sigma)
    contents = {**bundle.contents, DECODER: decoder.SerializeToString()}
    return replace(bundle, contents=contents)


def test_it_is_the_root_mean_square_of_the_best_channels_sigma(gaussian: Bundle) -> None:
    x = np.array([CIRCLE, SQUARE, CIRCLE], dtype=np.float32).reshape(-1, *SHAPE)
    batch = Predictor.open(gaussian).predict(x)
    assert batch.observation_noise is not None
    expected = np.sqrt(np.mean(np.square(SIGMAS), axis=1))[batch.channel]
    assert_allclose(batch.observation_noise, expected, rtol=1e-5)


def test_a_bernoulli_decoder_has_none(bundle: Bundle) -> None:
    x = np.array([CIRCLE], dtype=np.float32).reshape(-1, *SHAPE)
    assert Predictor.open(bundle).predict(x).observation_noise is None
