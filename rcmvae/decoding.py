"""What channels decode to, in the units of a client."""

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from rcmvae.ood import LatentPrior
from rcmvae.scaling import Scaling

SIGMA = "sigma"
"""Output of a Gaussian decoder: the standard deviation of every value."""

CHUNK = 512
"""Latents that are decoded at once."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What n latents decode to.

    Attributes:
        values: the reconstruction, cut to the signature's range, float32 (n, *shape).
        sigma: standard deviation of every value, as wide; None under a Bernoulli likelihood.
    """

    values: NDArray[np.float32]
    sigma: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What N inputs look like to their M best channels, the most responsible first.

    Attributes:
        channel: int64 (N, M).
        responsibility: of each channel for its input, float32 (N, M).
        values: decoded at the latent mean, float32 (N, M, *shape).
        sigma: as wide; None under a Bernoulli likelihood.
    """

    channel: NDArray[np.int64]
    responsibility: NDArray[np.float32]
    values: NDArray[np.float32]
    sigma: NDArray[np.float32] | None


class Decoder:
    """The decoder of one bundle; safe to call from several threads.

    Args:
        session: over `decoder.onnx`.
        scaling: of raw inputs; None where what is decoded is the input.
        value_range: closed, of the values of an input.
        prior: of the latents.
    """

    __slots__ = ("_has_sigma", "_prior", "_scaling", "_session", "_value_range")

    def __init__(
        self,
        session: ort.InferenceSession,
        scaling: Scaling | None,
        value_range: tuple[float, float],
        prior: LatentPrior,
    ) -> None:
        self._prior = prior
        self._session = session
        self._scaling = scaling
        self._value_range = value_range
        self._has_sigma = SIGMA in {output.name for output in session.get_outputs()}

    def decode(self, z: NDArray[np.float32], channel: NDArray[np.int64]) -> Decoded:
        """Decode z, (n, d) with n > 0, each by its channel, (n,)."""
        names = ["reconstruction", *([SIGMA] if self._has_sigma else [])]
        parts = [
            self._session.run(names, {"z": z[i : i + CHUNK], "channel": channel[i : i + CHUNK]})
            for i in range(0, len(z), CHUNK)
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Decoded(self._raw(columns[0]), self._wide(columns[1]) if self._has_sigma else None)

    def imagine(self, channel: int, seed: int | None = None) -> Decoded:
        """What a channel decodes to at the mean of its prior, or at the draw of a seed; n is 1."""
        mean, scale = self._prior.mean[channel], self._prior.scale[channel]
        noise = 0.0 if seed is None else np.random.default_rng(seed).normal(size=mean.shape)
        z = np.asarray(mean + scale * noise, dtype=np.float32)[None]
        return self.decode(z, np.array([channel], dtype=np.int64))

    def _raw(self, decoded: NDArray[np.float32]) -> NDArray[np.float32]:
        raw = decoded if self._scaling is None else self._scaling.raw(decoded)
        low, high = self._value_range
        return np.asarray(np.clip(raw, low, high), dtype=np.float32)

    def _wide(self, sigma: NDArray[np.float32]) -> NDArray[np.float32]:
        return sigma if self._scaling is None else sigma * self._scaling.width
