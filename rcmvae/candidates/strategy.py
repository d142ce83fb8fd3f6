"""What to label next: one interface for the service and the benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rcmvae.candidates import ranking, spread
from rcmvae.candidates.pool import Pool


class Strategy(StrEnum):
    """How to choose.

    entropy          the label is most uncertain
    margin           two labels are nearly as probable
    epistemic        labels would remove most of the uncertainty
    disagreement     the channels that could hold it vote for different labels
    ood              it is strange, by either question
    diverse          uncertain inputs that lie apart, as a batch
    representatives  one typical input of a channel that labels hardly speak for: the cold start
    unowned          the same among inputs that no label owns: a class that is new in the traffic
    """

    ENTROPY = "entropy"
    MARGIN = "margin"
    EPISTEMIC = "epistemic"
    DISAGREEMENT = "disagreement"
    OOD = "ood"
    DIVERSE = "diverse"
    REPRESENTATIVES = "representatives"
    UNOWNED = "unowned"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to label, the most useful first.

    Attributes:
        rows: of the pool, distinct and without a label, int64 (n,).
        scores: of the strategy, when each was chosen, float64 (n,); higher is more useful.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


_RANKED: Mapping[Strategy, Callable[[Pool], NDArray[np.float64]]] = {
    Strategy.ENTROPY: ranking.entropy_score,
    Strategy.MARGIN: ranking.margin_score,
    Strategy.EPISTEMIC: ranking.epistemic_score,
    Strategy.DISAGREEMENT: ranking.disagreement_score,
    Strategy.OOD: ranking.ood_score,
}
_SPREAD: Mapping[Strategy, Callable[[Pool, int], spread.Chosen]] = {
    Strategy.DIVERSE: spread.diverse,
    Strategy.REPRESENTATIVES: spread.representatives,
    Strategy.UNOWNED: spread.unowned,
}


def suggest(pool: Pool, strategy: Strategy, count: int) -> Suggestion:
    """At most ``count`` inputs of the pool to label next; fewer where fewer carry no label.

    The same inputs in another order give the same choice: ties go to the lower key.
    """
    by_key = np.argsort(pool.key, kind="stable")
    ordered = pool.take(by_key)
    most = min(count, ordered.open)
    if strategy in _SPREAD:
        rows, scores = _SPREAD[strategy](ordered, most)
    else:
        score = np.where(ordered.labelled, -np.inf, _RANKED[strategy](ordered))
        rows = np.argsort(-score, kind="stable")[:most]
        scores = score[rows]
    return Suggestion(by_key[rows], scores)
