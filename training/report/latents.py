"""Where inputs lie within the latent of their channel."""

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from training.encode import chunks, encode


@dataclass(frozen=True, slots=True)
class Latents:
    """Latents of n inputs under their most responsible channel.

    Attributes:
        channel: the most responsible channel, int64 (n,).
        mean: its latent mean, float32 (n, d).
        variance: its latent variance, float32 (n, d).
        usage: mean responsibilities over the inputs, float64 (K,), sum to one.
    """

    channel: NDArray[np.int64]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    usage: NDArray[np.float64]


def read_latents(session: ort.InferenceSession, x: NDArray[np.float32]) -> Latents:
    """Encode x, (n, *shape) with n > 0, and keep the most responsible channel's latent only."""
    channel, mean, variance, mass = [], [], [], []
    for chunk in chunks(len(x)):
        encoded = encode(session, x[chunk])
        rows = np.arange(len(encoded.mu))
        channel.append(encoded.channel)
        mean.append(encoded.latent)
        variance.append(np.exp(encoded.logvar[rows, encoded.channel]))
        mass.append(encoded.responsibilities().sum(axis=0))
    return Latents(
        np.concatenate(channel),
        np.concatenate(mean),
        np.concatenate(variance),
        np.asarray(np.sum(mass, axis=0) / len(x)),
    )


def principal_plane(latent: NDArray[np.floating]) -> NDArray[np.float64]:
    """Coordinates of n > 0 latents (n, d) on their own two main principal axes, (n, 2).

    Where there is no second axis, as d or n is 1, its coordinate is zero.
    """
    centred = latent.astype(np.float64) - latent.astype(np.float64).mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(latent), 2))
    kept = min(2, scale.size)
    plane[:, :kept] = left[:, :kept] * scale[:kept]
    return plane


def sample_aggregate(
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    count: int,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw from the Gaussian of the moments of a channel's aggregate posterior, (count, d).

    The aggregate posterior is the even mixture of n Gaussians N(mean_i, diag variance_i); its
    covariance is that of the means plus the mean of the variances.

    Args:
        mean: of every input of the channel, (n, d), n > 0.
        variance: likewise, (n, d).
        count: draws.
        generator: source of the draws.
    """
    spread = np.atleast_2d(np.cov(mean, rowvar=False, bias=True)) + np.diag(variance.mean(axis=0))
    drawn = generator.multivariate_normal(mean.mean(axis=0), spread, size=count, method="eigh")
    return np.asarray(drawn, dtype=np.float32)
