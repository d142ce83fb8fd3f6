"""The decoder's own noise: there under a Gaussian likelihood, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from onnx import parser

from rcmvae.bundle import Bundle, load_bundle
from rcmvae.bundle.manifest import DECODER
from rcmvae.predictor import Predictor
from tests.service.small_bundle import CIRCLE, PROTOTYPES, SHAPE, SQUARE, publish_small

SIGMAS = [[0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [0.3, 0.1, 0.1, 0.1, 0.1, 0.5], [0.2] * 6]
_DECODER = """
<ir_version: 10, opset_import: ["": 20]>
decoder (float[N, 2] z, int64[N] channel)
    => (float[N, 2, 3] reconstruction, float[N, 2, 3] sigma)
<float[3, 6] prototype = {%s}, float[3, 6] own = {%s}, int64[3] image = {0, 2, 3}>
{
    decoded = Gather (prototype, channel)
    noise = Gather (own, channel)
    reconstruction = Reshape (decoded, image)
    sigma = Reshape (noise, image)
}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = tmp_path_factory.mktemp("noise")
    publish_small(models, "v1")
    return load_bundle(models / "v1")


@pytest.fixture(scope="module")
def gaussian(bundle: Bundle) -> Bundle:
    """The small bundle with a decoder that says how noisy each value is."""

    def listed(rows: object) -> str:
        return ", ".join(f"{value:.6f}" for value in np.ravel(np.asarray(rows)))

    decoder = parser.parse_model(_DECODER % (listed(PROTOTYPES), listed(SIGMAS)))
    return replace(bundle, contents={**bundle.contents, DECODER: decoder.SerializeToString()})


def test_it_is_the_root_mean_square_of_the_best_channels_sigma(gaussian: Bundle) -> None:
    x = np.array([CIRCLE, SQUARE, CIRCLE], dtype=np.float32).reshape(-1, *SHAPE)
    batch = Predictor.open(gaussian).predict(x)
    assert batch.observation_noise is not None
    expected = np.sqrt(np.mean(np.square(SIGMAS), axis=1))[batch.channel]
    assert_allclose(batch.observation_noise, expected, rtol=1e-5)


def test_a_bernoulli_decoder_has_none(bundle: Bundle) -> None:
    x = np.array([CIRCLE], dtype=np.float32).reshape(-1, *SHAPE)
    assert Predictor.open(bundle).predict(x).observation_noise is None
