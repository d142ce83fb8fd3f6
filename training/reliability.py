"""Whether probabilities mean what they say: calibration error, Brier score, prediction sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, binom

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against the share that is right, over the bins that hold an answer, b of them.

    Attributes:
        confidence: mean confidence, (b,), ascending.
        right: share of right answers, (b,).
        count: answers, int64 (b,).
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the answers in each bin, (b,)."""
        share: NDArray[np.float64] = self.count / self.count.sum()
        return share

    @property
    def expected_error(self) -> float:
        """ECE (Guo et al. 2017, equation 3)."""
        return float(self.share @ np.abs(self.right - self.confidence))

    @property
    def overconfidence(self) -> float:
        """Mean confidence less the share that is right: negative where answers are too modest."""
        return float(self.share @ (self.confidence - self.right))

    @property
    def miscalibration(self) -> float:
        """First part of the Brier score of "the answer is right" (Murphy 1973), lower is better."""
        return float(self.share @ (self.right - self.confidence) ** 2)

    @property
    def resolution(self) -> float:
        """Second part: how far the bins differ in what is right, higher is better."""
        return float(self.share @ (self.right - self.share @ self.right) ** 2)

    @property
    def difficulty(self) -> float:
        """Third part: variance of being right, which no confidence changes."""
        right = float(self.share @ self.right)
        return right * (1.0 - right)


def reliability(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """Answers by equal-width bins of their confidence in [0, 1].

    Args:
        confidence: of n > 0 answers, (n,).
        right: (n,).
        bins: in all, the empty ones included.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    held = [np.flatnonzero(place == b) for b in np.unique(place)]
    return Reliability(
        np.array([confidence[rows].mean(dtype=np.float64) for rows in held]),
        np.array([right[rows].mean() for rows in held]),
        np.array([rows.size for rows in held], dtype=np.int64),
    )


def brier_score(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """Mean over inputs of sum_y (p_y - [y is the truth])^2, in [0, 2] (Brier 1950).

    Args:
        probabilities: (n, C).
        truth: (n,).
    """
    missed = probabilities.astype(np.float64) - np.eye(probabilities.shape[1])[truth]
    return float((missed**2).sum(axis=1).mean())


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Prediction sets of n inputs at one alpha.

    Attributes:
        coverage: share of the sets that hold the truth.
        size: mean number of labels in a set.
        empty: share of the sets that hold none.
        lowest: coverage of the label whose sets hold it least often.
    """

    coverage: float
    size: float
    empty: float
    lowest: float


NO_SETS = SetFigures(0.0, 0.0, 0.0, 0.0)
"""Figures of no sets at all."""


def set_figures(
    p_values: NDArray[np.float64], truth: NDArray[np.int64], alpha: float
) -> SetFigures:
    """Figures of the sets of labels whose p-value is above alpha.

    Args:
        p_values: (n, C), n > 0.
        truth: (n,).
        alpha: in (0, 1).
    """
    kept = p_values > alpha
    covered = kept[np.arange(len(truth)), truth]
    return SetFigures(
        coverage=float(covered.mean()),
        size=float(kept.sum(axis=1).mean()),
        empty=float((~kept.any(axis=1)).mean()),
        lowest=min(float(covered[truth == y].mean()) for y in np.unique(truth)),
    )


def binomial_interval(count: int, alpha: float) -> tuple[float, float]:
    """Central 95 % of the coverage of ``count`` sets that each hold the truth with 1 - alpha."""
    drawn = binom(count, 1.0 - alpha)
    return float(drawn.ppf(0.025)) / count, float(drawn.ppf(0.975)) / count


def coverage_interval(count: int, calibrated: int, alpha: float) -> tuple[float, float]:
    """The same where the draw of the calibration sample counts too.

    Of scores without ties the coverage given the sample is Beta(n + 1 - l, l), l the whole part of
    alpha (n + 1) (Vovk 2012); so the number of covered inputs is beta-binomial.

    Args:
        count: of test inputs.
        calibrated: n, the size of the calibration sample.
        alpha: in (0, 1).
    """
    misses = int(np.floor(alpha * (calibrated + 1) * (1 + 1e-12)))
    if misses == 0:
        return 1.0, 1.0
    drawn = betabinom(count, calibrated + 1 - misses, misses)
    return float(drawn.ppf(0.025)) / count, float(drawn.ppf(0.975)) / count
