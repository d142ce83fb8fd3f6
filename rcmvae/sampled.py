"""Uncertainty by sampling: what the model says of inputs that it decoded itself.

A latent is drawn from q(z|x, c), decoded to x~ and encoded again, S times. Where the answers to the
x~ disagree, the answer to x hangs on details that its channel does not hold: the mutual information
between the label and the draw is the deep epistemic figure, which the closed form of
`rcmvae.uncertainty` cannot see. It costs S runs of the decoder and of the encoder.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rcmvae.decoding import Decoder
from rcmvae.uncertainty import entropy

SampledChannel = Literal["best", "drawn"]
CHUNK = 512
"""Draws that are decoded and encoded at once."""

Encode = Callable[[tuple[str, ...], NDArray[np.float32]], dict[str, NDArray[np.float32]]]
"""Named tensors of the served graph for inputs (N, *shape)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample.

    Attributes:
        draws: S, at least 2.
        seed: at least 0. An input and a seed have the same draws in every request, whatever else
            is in it.
        channel: the ``best`` one, or ``drawn`` from r(x) for every draw.
    """

    draws: int
    seed: int = 0
    channel: SampledChannel = "best"


@dataclass(frozen=True, slots=True)
class SampledUncertainty:
    """What S draws say of N inputs; entropies in nats.

    Attributes:
        probabilities: mean of p(y|x~) over the draws, float64 (N, C).
        total: entropy of ``probabilities``, (N,).
        expected: mean entropy of p(y|x~), (N,).
        mutual_information: total - expected, (N,): the deep epistemic figure.
    """

    probabilities: NDArray[np.float64]
    total: NDArray[np.float64]
    expected: NDArray[np.float64]
    mutual_information: NDArray[np.float64]


class Sampler:
    """Draws, decodes and encodes again.

    Args:
        encode: runs the served graph.
        decoder: of the same bundle.
    """

    __slots__ = ("_decoder", "_encode")

    def __init__(self, encode: Encode, decoder: Decoder) -> None:
        self._encode = encode
        self._decoder = decoder

    def sample(self, x: NDArray[np.float32], sampling: Sampling) -> SampledUncertainty:
        """Sampled uncertainty of inputs x, (N, *shape)."""
        out = self._encode(("responsibilities", "mu", "logvar"), x)
        drawn = [
            _draw(row, r, mu, logvar, sampling)
            for row, r, mu, logvar in zip(
                x, out["responsibilities"], out["mu"], out["logvar"], strict=True
            )
        ]
        channel, z = (np.concatenate(column) for column in zip(*drawn, strict=True))
        again = np.concatenate([self._answers(z[rows], channel[rows]) for rows in _chunks(len(z))])
        return summarise(again.reshape(len(x), sampling.draws, -1))

    def _answers(self, z: NDArray[np.float32], channel: NDArray[np.int64]) -> NDArray[np.float32]:
        """p(y|x~) of the decodings, (n, C)."""
        decoded = self._decoder.decode(z, channel)
        return self._encode(("probabilities",), decoded.values)["probabilities"]


def summarise(answers: NDArray[np.floating]) -> SampledUncertainty:
    """Split the entropy of the mean answer.

    Args:
        answers: p(y|x~) of S draws of N inputs, (N, S, C), rows sum to one.
    """
    mean = answers.astype(np.float64).mean(axis=1)
    total, expected = entropy(mean), entropy(answers).mean(axis=1)
    # Not negative by Jensen's inequality; rounding may say otherwise.
    return SampledUncertainty(mean, total, expected, np.maximum(total - expected, 0.0))


def _draw(
    x: NDArray[np.float32],
    responsibilities: NDArray[np.float32],
    mu: NDArray[np.float32],
    logvar: NDArray[np.float32],
    sampling: Sampling,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Channels (S,) and latents (S, d) of one input."""
    digest = hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=16).digest()
    own = np.frombuffer(digest, dtype="<u4").tolist()
    rng = np.random.default_rng([sampling.seed, *own])
    channel = np.full(sampling.draws, responsibilities.argmax(), dtype=np.int64)
    if sampling.channel == "drawn":
        edges = np.cumsum(responsibilities.astype(np.float64))
        place = np.searchsorted(edges, rng.random(sampling.draws) * edges[-1], side="right")
        channel = np.minimum(place, len(edges) - 1).astype(np.int64)
    noise = rng.standard_normal((sampling.draws, mu.shape[1]), dtype=np.float32)
    z = mu[channel] + np.exp(0.5 * logvar[channel]) * noise
    return channel, z.astype(np.float32)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))
