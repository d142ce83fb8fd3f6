"""Run an exported encoder and decoder over whole arrays, without torch.

Everything after the fit is computed on what will be served, so that calibration, evaluation and
serving see the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from rcmvae.graph import Graphs, served_graph
from rcmvae.predictor import open_session

CHUNK = 512

ENCODED = ("logits", "mu", "logvar", "features", "texture_maps")
"""Outputs of `encoder.onnx`, in the order of ``Encoded``."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the exported encoder says of n inputs, float32.

    Attributes:
        logits: channel logits, (n, K).
        mu: latent means, (n, K, d).
        logvar: latent log-variances, (n, K, d).
        features: (n, F).
        texture: (n, T).
    """

    logits: NDArray[np.float32]
    mu: NDArray[np.float32]
    logvar: NDArray[np.float32]
    features: NDArray[np.float32]
    texture: NDArray[np.float32]

    @property
    def channel(self) -> NDArray[np.int64]:
        """The most responsible channel, (n,)."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def latent(self) -> NDArray[np.float32]:
        """Latent mean of the most responsible channel, (n, d)."""
        return np.asarray(self.mu[np.arange(len(self.mu)), self.channel])

    def responsibilities(self, temperature: float = 1.0) -> NDArray[np.float64]:
        """Softmax of the logits over ``temperature``, (n, K)."""
        return softmax(self.logits / temperature)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    total: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return total


def encode(session: ort.InferenceSession, x: NDArray[np.float32]) -> Encoded:
    """Encode x, (n, *shape) with n > 0, by a session over `encoder.onnx`."""
    parts = [session.run(list(ENCODED), {"x": x[chunk]}) for chunk in chunks(len(x))]
    return Encoded(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def decode(
    session: ort.InferenceSession, z: NDArray[np.float32], channel: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Decode z (n, d) by channel (n,) with a session over `decoder.onnx`: (n, *shape)."""
    return decode_outputs(session, z, channel, ("reconstruction",))[0]


def decode_outputs(
    session: ort.InferenceSession,
    z: NDArray[np.float32],
    channel: NDArray[np.int64],
    outputs: Sequence[str],
) -> list[NDArray[np.float32]]:
    """Decode z (n, d) by channel (n,) and return the named outputs, each (n, *shape)."""
    feeds = ({"z": z[chunk], "channel": channel[chunk]} for chunk in chunks(len(z)))
    parts = [session.run(list(outputs), feed) for feed in feeds]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def run_served(
    graphs: Graphs, outputs: Sequence[str], x: NDArray[np.float32]
) -> list[NDArray[np.floating]]:
    """Run the joined graph over x, (n, *shape) with n > 0, and return the named outputs."""
    session = session_of(served_graph(graphs, outputs))
    parts = [session.run(list(outputs), {"x": x[chunk]}) for chunk in chunks(len(x))]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def chunks(count: int) -> Iterator[slice]:
    """Slices that cover ``count`` rows, CHUNK at a time."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def session_of(model: bytes) -> ort.InferenceSession:
    """A CPU session over a serialized graph."""
    return open_session(model, ("CPUExecutionProvider",), threads=1)
