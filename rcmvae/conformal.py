"""A conformal calibration sample, ready to judge scores."""

import numpy as np
from numpy.typing import NDArray


class ConformalSample:
    """Scores of a calibration sample, and the p-value of every rank among them.

    A p-value depends on the score's rank alone. So there are n + 1 of them, and they are looked up:
    on one row that takes a quarter of the time of their arithmetic.

    Args:
        scores: of the calibration sample in ascending order, float64 (n,), none of them NaN.
    """

    __slots__ = ("_p_values", "_scores")

    def __init__(self, scores: NDArray[np.float64]) -> None:
        below = np.arange(scores.size + 1)
        self._scores = scores
        self._p_values = (1.0 + scores.size - below) / (scores.size + 1.0)

    def p_values(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Split-conformal p-value p = (1 + #{calibration scores >= s}) / (n + 1).

        For scores exchangeable with the calibration sample P(p <= alpha) <= alpha for every alpha
        (Vovk, Gammerman and Shafer 2005, proposition 2.8).

        Args:
            scores: to judge, any shape; higher is stranger.

        Returns:
            p-values in [1 / (n + 1), 1], float64, of the shape of ``scores``. A score that is not a
            number is stranger than everything, as NumPy sorts it behind infinity: it gets
            1 / (n + 1).
        """
        return np.asarray(self._p_values[self._scores.searchsorted(scores)])
