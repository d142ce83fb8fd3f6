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
    return _decisions(p_familiar <= alpha / 2, p_owned <= alpha / 2)


def _decisions(strange: NDArray[np.bool_], unowned: NDArray[np.bool_]) -> list[Decision]:
    return [
        Decision.OUT_OF_DISTRIBUTION if s else Decision.UNKNOWN_CLASS if u else Decision.KNOWN
        for s, u in zip(strange.tolist(), unowned.tolist(), strict=True)
    ]


def decide_batch(
    p_familiar: NDArray[np.float64], p_owned: NDArray[np.float64], fdr: float
) -> list[Decision]:
    """Decide the rows of one batch so that few of those flagged are known inputs.

    The expected share of known inputs among the rows not answered ``known`` is at most ``fdr``.
    Each question gets half of it, by Benjamini and Hochberg (1995). Their bound holds for the
    p-values of one question, which share a calibration sample (they are PRDS: Bates et al. 2023);
    false flags of both questions add up to at most their shares of a larger whole.

    Args:
        p_familiar: p-values of the first question, (N,).
        p_owned: p-values of the second question, (N,).
        fdr: false discovery rate in (0, 1).
    """
    half = fdr / 2
    return _decisions(benjamini_hochberg(p_familiar, half), benjamini_hochberg(p_owned, half))


def benjamini_hochberg(p_values: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Which p-values the step-up procedure rejects at a false discovery rate, (N,).

    All up to the largest p_(i) <= rate i / N, p_(i) the i-th smallest (Benjamini and Hochberg
    1995). The rate is kept for independent and for PRDS p-values.
    """
    count = p_values.size
    ordered = np.sort(p_values)
    below = np.flatnonzero(ordered <= rate * np.arange(1, count + 1) / max(1, count))
    bound = ordered[below[-1]] if below.size else -np.inf
    return np.asarray(p_values <= bound)


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
