"""From p-values to what a caller acts on: known, unknown class, or out of distribution."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Decision(StrEnum):
    """The answer to the two questions at one alpha."""

    KNOWN = "known"
    """Like the training stream, and owned by channels that labels speak for."""
    UNKNOWN_CLASS = "unknown_class"
    """Like the training stream, but no labelled channel owns it."""
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    """Unlike anything in the training stream."""


def conformal_p_values(
    calibration: NDArray[np.float64], scores: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Split-conformal p-value p = (1 + #{calibration scores >= s}) / (n + 1).

    For scores exchangeable with the calibration sample P(p <= alpha) <= alpha for every alpha
    (Vovk, Gammerman and Shafer 2005, proposition 2.8).

    Args:
        calibration: scores of the calibration sample in ascending order, (n,).
        scores: scores to judge, any shape; higher is stranger.

    Returns:
        p-values in [1 / (n + 1), 1], float64, of the shape of ``scores``. A score that is not a
        number is stranger than everything: it gets 1 / (n + 1).
    """
    judged = np.where(np.isnan(scores), np.inf, scores.astype(np.float64))
    at_least = calibration.size - np.searchsorted(calibration, judged, side="left")
    return np.asarray((1.0 + at_least) / (calibration.size + 1.0), dtype=np.float64)


def decide(
    p_familiar: NDArray[np.float64], p_owned: NDArray[np.float64], alpha: float
) -> list[Decision]:
    """Decide every row at a false-alarm rate of at most ``alpha`` for exchangeable known inputs.

    Half of alpha goes to each question, so that by the union bound both together keep it.

    Args:
        p_familiar: p-values of the first question, (N,).
        p_owned: p-values of the second question, (N,).
        alpha: false-alarm rate in (0, 1).
    """
    strange = p_familiar <= alpha / 2
    unowned = p_owned <= alpha / 2
    return [
        Decision.OUT_OF_DISTRIBUTION if s else Decision.UNKNOWN_CLASS if u else Decision.KNOWN
        for s, u in zip(strange.tolist(), unowned.tolist(), strict=True)
    ]


def smallest_alpha(sizes: Sequence[int]) -> float:
    """The smallest alpha at which every question can still raise an alarm.

    With n calibration inputs no p-value is below 1 / (n + 1), and each question has alpha / 2.
    """
    return max(2.0 / (n + 1.0) for n in sizes)


def prediction_set(
    labels: Sequence[str], label_p_values: NDArray[np.float64], alpha: float
) -> list[str]:
    """Labels that cannot be rejected at ``alpha``: covers the truth with probability 1 - alpha.

    Args:
        labels: the C label names.
        label_p_values: conformal p-value of every label for one input, (C,).
        alpha: miscoverage in (0, 1).
    """
    keep = (label_p_values > alpha).tolist()
    return [label for label, kept in zip(labels, keep, strict=True) if kept]
