"""Scores of question 1, and how they are fused.

No single statistic wins everywhere. Three distances see different things, and each is fitted on
inputs of the training stream or held out from it; no outlier is ever seen:

- ``atypicality``: of what the decoder and the routing say. A Gaussian over the logarithms of error,
  relative error, KL and intensity, and the logit energy. A value that is too low is as strange as
  one that is too high.
- ``mahalanobis``: of the encoder's features, where classes lie.
- ``texture``: of the mean activation of the encoder's maps, and of the energy of fine filters over
  the input: strokes, noise, blur, contrast.

An input is strange where any of them says so. The fused score is their smooth maximum, each in
units of its own spread on held-out inputs.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

SMALLEST_SIGMA = 0.05
"""Lower bound of a Gaussian decoder's standard deviation."""

SCORE_NAMES = (
    "reconstruction_error",
    "relative_reconstruction_error",
    "kl",
    "negative_elbo",
    "mixed",
    "intensity",
    "logit_energy",
    "mahalanobis",
    "texture",
    "atypicality",
)
"""Columns of the `scores` output; higher is stranger, but for `intensity`, where both ends are.

All but `logit_energy` are non-negative. The reconstruction error is -log p(x given z, k) above the
least that the likelihood allows: zero for Bernoulli values, log(SMALLEST_SIGMA sqrt(2 pi)) a value
for Gaussian ones. `kl` is that to the channel's own prior. `mixed` is the mean of 1 - max_k r_k and
the relative error. `intensity` is |x|^2. `logit_energy` is -log sum_k exp a_k (Liu et al. 2020).
"""

LOGGED_NAMES = ("reconstruction_error", "relative_reconstruction_error", "kl", "intensity")
"""Scores that enter the density of `atypicality` by their logarithm, before `logit_energy`.

`negative_elbo` and `mixed` are sums of others.
"""

NUM_TYPICAL = len(LOGGED_NAMES) + 1
"""Dimension of that density."""

FUSED_NAMES = ("atypicality", "mahalanobis", "texture")
"""The distances that are fused."""

LOG_FLOOR = 1e-3
"""Added before a logarithm, so that a score of zero stays finite."""

FEATURE_AXES = 64
"""Directions of the features that get a variance of their own; all others share one."""


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
    def is_standard(self) -> bool:
        """Whether it is N(0, I) for every channel."""
        return not (self.mean.any() or self.logvar.any())

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviations, (K, d)."""
        return np.asarray(np.exp(0.5 * self.logvar))


@dataclass(frozen=True, slots=True)
class FeatureDensity:
    """Gaussian per channel with one shared covariance (Lee et al. 2018), of few free variances.

    In units of ``scale`` the precision is rest I - A A^T for orthogonal columns of A: that of
    probabilistic PCA (Tipping and Bishop 1999), which costs Q products a value where a full one
    costs F.

    Attributes:
        means: one mean per channel, float64 (K, F).
        scale: unit of every value, float64 (F,), positive.
        axes: A, float64 (F, Q); the square of a column is how much its direction's precision is
            below the others'.
        rest: precision of all other directions, > 0.
    """

    means: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: NDArray[np.float64]
    rest: float

    def distance(
        self, features: NDArray[np.floating], channel: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Squared Mahalanobis distance to the mean of each input's channel, (N,)."""
        centred = (features - self.means[channel]) / self.scale
        explained = np.square(centred @ self.axes).sum(axis=1)
        distance: NDArray[np.float64] = self.rest * np.square(centred).sum(axis=1) - explained
        return np.maximum(distance, 0.0)


def feature_density(
    means: NDArray[np.float64],
    covariance: NDArray[np.float64],
    axes: int,
    scale: NDArray[np.float64] | None = None,
) -> FeatureDensity:
    """The density whose ``axes`` largest variances are those of a covariance.

    All other variances become their mean; with ``axes`` of F - 1 or more nothing changes.

    Args:
        means: one mean per channel, (K, F).
        covariance: in units of ``scale``, (F, F).
        axes: how many directions keep a variance of their own.
        scale: (F,); ones if None.
    """
    unit = np.ones(len(covariance)) if scale is None else scale
    variance, direction = np.linalg.eigh(covariance)
    kept = min(axes, len(variance) - 1)
    rest = 1.0 / float(variance[: len(variance) - kept].mean())
    largest = slice(len(variance) - kept, None)
    below = np.sqrt(np.maximum(rest - 1.0 / variance[largest], 0.0))
    return FeatureDensity(means, unit, direction[:, largest] * below, rest)


@dataclass(frozen=True, slots=True)
class FusedDensity:
    """The density behind `atypicality`, and the spread of the three distances.

    Attributes:
        mean: of the typical vector, float64 (J,) with J = NUM_TYPICAL.
        whitener: W with W W^T its inverse covariance, float64 (J, J).
        centre: mean logarithm of each distance of FUSED_NAMES on held-out inputs, float64 (3,).
        spread: standard deviation of the same, float64 (3,), positive.
    """

    mean: NDArray[np.float64]
    whitener: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def open(cls) -> "FusedDensity":
        """Of no inputs yet: standard in every direction."""
        size, count = NUM_TYPICAL, len(FUSED_NAMES)
        return cls(np.zeros(size), np.eye(size), np.zeros(count), np.ones(count))

    def atypicality(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Squared Mahalanobis distance of the typical vector of rows of SCORE_NAMES, (N,)."""
        white = (typical_vector(scores) - self.mean) @ self.whitener
        distance: NDArray[np.float64] = np.square(white).sum(axis=1)
        return distance

    def score(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Fused score of rows of SCORE_NAMES, (N, S) -> (N,): log(1 + sum_j exp z_j), positive.

        The column `atypicality` is taken as it is.
        """
        fused: NDArray[np.float64] = np.logaddexp(
            0.0, logsumexp(self._standardised(scores), axis=1)
        )
        return fused

    def _standardised(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        return (_logs(scores, FUSED_NAMES) - self.centre) / self.spread


def typical_vector(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the density of `atypicality` sees of rows of SCORE_NAMES, (N, S) -> (N, J)."""
    energy = scores[:, SCORE_NAMES.index("logit_energy")].astype(np.float64)
    return np.column_stack([_logs(scores, LOGGED_NAMES), energy])


def _logs(scores: NDArray[np.floating], names: tuple[str, ...]) -> NDArray[np.float64]:
    columns = [SCORE_NAMES.index(name) for name in names]
    logs: NDArray[np.float64] = np.log(scores[:, columns].astype(np.float64) + LOG_FLOOR)
    return logs


def whitener(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """W with W W^T = covariance^-1, by the Cholesky factor of the inverse."""
    factor: NDArray[np.float64] = np.linalg.cholesky(np.linalg.inv(covariance))
    return factor


def fit_fused_density(scores: NDArray[np.floating]) -> FusedDensity:
    """Fit to the scores of held-out inputs, (n, S) with n > NUM_TYPICAL.

    The column `atypicality` is not read: it is what is fitted. The covariance is shrunk towards its
    diagonal by 1 / (n + 1) to stay invertible.
    """
    typical = typical_vector(scores)
    covariance = np.cov(typical, rowvar=False)
    share = 1.0 / (len(typical) + 1.0)
    shrunk = (1.0 - share) * covariance + share * np.diag(np.diag(covariance) + 1e-6)
    opened = FusedDensity.open()
    fitted = replace(opened, mean=typical.mean(axis=0), whitener=whitener(shrunk))
    own = np.array(scores, dtype=np.float64)
    own[:, SCORE_NAMES.index("atypicality")] = fitted.atypicality(scores)
    logs = _logs(own, FUSED_NAMES)
    # A distance that never varies must not make a rounding error look strange.
    return replace(fitted, centre=logs.mean(axis=0), spread=np.maximum(logs.std(axis=0), 1e-3))
