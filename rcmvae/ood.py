"""Scores of question 1, and the density that fuses them.

No single statistic wins everywhere: reconstruction sees inverted images, the density of features
sees what the decoder copies too well. The fused score is the squared Mahalanobis distance of the
vector of log scores from its mean on held-out inputs (a Gaussian density, so a score that is too
low is as strange as one that is too high). It never sees an outlier.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIGMA = 0.05
"""Lower bound of a Gaussian decoder's standard deviation."""

SCORE_NAMES = (
    "reconstruction_error",
    "relative_reconstruction_error",
    "kl",
    "negative_elbo",
    "mahalanobis",
)
"""Columns of the `scores` output; all are non-negative, higher is stranger.

The reconstruction error is -log p(x given z, k) above the least that the likelihood allows: zero
for Bernoulli values, log(SMALLEST_SIGMA sqrt(2 pi)) a value for Gaussian ones. `kl` is that to the
channel's own prior.
"""

FUSED_NAMES = ("reconstruction_error", "relative_reconstruction_error", "kl", "mahalanobis")
"""Those that the density sees: `negative_elbo` is a sum of two of them."""

LOG_FLOOR = 1e-3
"""Added before the logarithm, so that a score of zero stays finite."""


@dataclass(frozen=True, slots=True)
class LatentPrior:
    """p(z given k), one diagonal Gaussian per channel.

    Attributes:
        mean: float64 (K, d).
        logvar: log-variances, float64 (K, d).
    """

    mean: NDArray[np.float64]
    logvar: NDArray[np.float64]

    @classmethod
    def standard(cls, num_channels: int, latent_dim: int) -> "LatentPrior":
        """N(0, I) for every channel."""
        zeros = np.zeros((num_channels, latent_dim))
        return cls(zeros, zeros)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviations, (K, d)."""
        return np.asarray(np.exp(0.5 * self.logvar))


@dataclass(frozen=True, slots=True)
class FeatureDensity:
    """Gaussian per channel with one shared covariance (Lee et al. 2018), over the features.

    Attributes:
        means: one mean per channel, float64 (K, F).
        whitener: W with W W^T the inverse covariance, float64 (F, Q).
    """

    means: NDArray[np.float64]
    whitener: NDArray[np.float64]

    def distance(
        self, features: NDArray[np.floating], channel: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Squared Mahalanobis distance to the mean of each input's channel, (N,)."""
        white = (features - self.means[channel]) @ self.whitener
        distance: NDArray[np.float64] = np.square(white).sum(axis=1)
        return distance


@dataclass(frozen=True, slots=True)
class FusedDensity:
    """Gaussian over the log scores named in FUSED_NAMES.

    Attributes:
        mean: float64 (J,).
        whitener: W with W W^T the inverse covariance, float64 (J, J).
    """

    mean: NDArray[np.float64]
    whitener: NDArray[np.float64]

    def score(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Fused score of rows of SCORE_NAMES, (N, S) -> (N,); higher is stranger."""
        white = (log_scores(scores) - self.mean) @ self.whitener
        fused: NDArray[np.float64] = np.square(white).sum(axis=1)
        return fused


def log_scores(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithms of the columns that the density sees, (N, S) -> (N, J)."""
    columns = [SCORE_NAMES.index(name) for name in FUSED_NAMES]
    logs: NDArray[np.float64] = np.log(scores[:, columns].astype(np.float64) + LOG_FLOOR)
    return logs


def whitener(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """W with W W^T = covariance^-1, by the Cholesky factor of the inverse."""
    factor: NDArray[np.float64] = np.linalg.cholesky(np.linalg.inv(covariance))
    return factor


def fit_fused_density(scores: NDArray[np.floating]) -> FusedDensity:
    """Fit the density to the scores of held-out inputs, (n, S) with n > len(FUSED_NAMES).

    The covariance is shrunk towards its diagonal by 1 / (n + 1) to stay invertible.
    """
    logs = log_scores(scores)
    covariance = np.cov(logs, rowvar=False)
    share = 1.0 / (len(logs) + 1.0)
    shrunk = (1.0 - share) * covariance + share * np.diag(np.diag(covariance) + 1e-6)
    return FusedDensity(logs.mean(axis=0), whitener(shrunk))
