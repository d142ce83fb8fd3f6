"""How well a score tells strange inputs from those of the training stream."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Separation:
    """Figures of one score on one set; the strange inputs are the positives.

    Attributes:
        auroc: chance that a strange input scores above a familiar one.
        aupr: average precision; as many strange as familiar inputs count, whatever their numbers.
        fpr95: share of familiar inputs flagged where 95 % of the strange ones are (Hendrycks et al.
            2019).
        missed95: share of strange inputs missed where 95 % of the familiar ones pass (Liang et al.
            2018, who call it FPR at 95 % TPR too).
    """

    auroc: float
    aupr: float
    fpr95: float
    missed95: float

    def figures(self) -> dict[str, float]:
        """All figures by name."""
        return {name: float(value) for name, value in asdict(self).items()}


def separation(familiar: NDArray[np.floating], strange: NDArray[np.floating]) -> Separation:
    """Compare scores of familiar inputs (n,) and of strange ones (m,); higher is stranger."""
    low, high = (np.nan_to_num(part.astype(np.float64), nan=np.inf) for part in (familiar, strange))
    truth = np.repeat([0, 1], [len(low), len(high)])
    # A rank is all that the figures depend on, and it is finite.
    ranks = np.unique(np.concatenate([low, high]), return_inverse=True)[1]
    weight = np.repeat([1.0 / len(low), 1.0 / len(high)], [len(low), len(high)])
    return Separation(
        auroc=float(roc_auc_score(truth, ranks)),
        aupr=float(average_precision_score(truth, ranks, sample_weight=weight)),
        fpr95=_reaching(low, high),
        missed95=_reaching(-high, -low),
    )


def _reaching(others: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    """Share of the others at or above the threshold that SHARE of ``own`` reach."""
    kept = int(np.ceil(SHARE * len(own)))
    threshold = np.sort(own)[len(own) - kept]
    return float(np.mean(others >= threshold))
