"""What channels decode to, in a client's units."""

import numpy as np
import onnxruntime
import pytest
from onnx import parser

from rcmvae.decoding import CHUNK, Decoder
from rcmvae.ood import LatentPrior
from rcmvae.scaling import Scaling

_TEXT = """
<ir_version: 10, opset_import: ["": 20]>
decoder (float[N, 2] z, int64[N] channel) => (float[N, 2] reconstruction, float[N, 2] sigma)
<float[2] tenth = {0.1, 0.2}>
{
    k = Cast <to = 1> (channel)
    axis = Constant <value_ints = [1]> ()
    column = Unsqueeze (k, axis)
    reconstruction = Add (z, column)
    zero = Sub (z, z)
    sigma = Add (zero, tenth)
}
"""


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    """z + channel, and sigma of 0.1 and 0.2."""
    model = parser.parse_model(_TEXT).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def test_vectors_are_decoded_in_raw_units_and_cut_to_the_range(
    session: onnxruntime.InferenceSession,
) -> None:
    scaling = Scaling(np.array([10, -5], np.float32), np.array([4, 2], np.float32))
    decoder = Decoder(session, scaling, (-6.0, 14.0), LatentPrior.standard(3, 2))
    decoded = decoder.decode(np.array([[0.5, 0.25], [0.5, 0.5]], np.float32), np.array([0, 2]))
    # raw = centre + (unit - 1/2) width
    np.testing.assert_allclose(decoded.values, [[10.0, -5.5], [14.0, -1.0]], atol=1e-6)
    assert decoded.sigma is not None
    np.testing.assert_allclose(decoded.sigma, [[0.4, 0.4]] * 2, atol=1e-6)


def test_many_latents_are_decoded_in_parts(session: onnxruntime.InferenceSession) -> None:
    decoder = Decoder(session, None, (-1e9, 1e9), LatentPrior.standard(3, 2))
    z = np.random.default_rng(0).normal(size=(2 * CHUNK + 1, 2)).astype(np.float32)
    channel = np.arange(len(z)) % 3
    decoded = decoder.decode(z, channel)
    np.testing.assert_allclose(decoded.values, z + channel[:, None], atol=1e-6)


def test_channels_are_imagined_by_their_own_prior(session: onnxruntime.InferenceSession) -> None:
    prior = LatentPrior(np.array([[0.0, 0.0], [5.0, -5.0]]), np.log([[1.0, 1.0], [1e-4, 4.0]]))
    decoder = Decoder(session, None, (-1e9, 1e9), prior)
    np.testing.assert_allclose(decoder.imagine(1).values, [[6.0, -4.0]])
    drawn = np.concatenate([decoder.imagine(1, seed).values for seed in range(400)])
    np.testing.assert_allclose(drawn.mean(axis=0), [6.0, -4.0], atol=0.4)
    np.testing.assert_allclose(drawn.std(axis=0), [0.01, 2.0], rtol=0.15)
