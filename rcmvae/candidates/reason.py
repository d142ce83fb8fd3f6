"""Why an input was chosen, in one sentence for people."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rcmvae.candidates.pool import Pool
from rcmvae.candidates.ranking import disagreement_score, entropy_score
from rcmvae.candidates.strategy import Strategy


def reasons(
    pool: Pool, strategy: Strategy, rows: Sequence[int], labels: Sequence[str]
) -> list[str]:
    """One sentence for every chosen row.

    Args:
        pool: chosen from.
        strategy: that chose.
        rows: of the pool.
        labels: names of the columns of the pool's probabilities.
    """
    chosen = pool.take(np.asarray(rows, dtype=np.int64))
    share = np.bincount(pool.channel, minlength=pool.evidence.size) / max(1, len(pool))
    return [_REASONS[strategy](chosen, i, share, labels) for i in range(len(chosen))]


_Reason = Callable[[Pool, int, NDArray[np.float64], Sequence[str]], str]


def _entropy(pool: Pool, i: int, *_: object) -> str:
    return f"its label is uncertain by {entropy_score(pool)[i]:.2f} nats"


def _margin(pool: Pool, i: int, _: NDArray[np.float64], labels: Sequence[str]) -> str:
    best = np.argsort(-pool.probabilities[i], kind="stable")[:2]
    shown = [f"{labels[k]!r} at {pool.probabilities[i, k]:.2f}" for k in best]
    return f"its most probable labels are {' and '.join(shown)}"


def _epistemic(pool: Pool, i: int, *_: object) -> str:
    total = entropy_score(pool)[i]
    return f"labels could remove {pool.epistemic[i]:.2f} of its {total:.2f} nats of uncertainty"


def _disagreement(pool: Pool, i: int, *_: object) -> str:
    return f"the channels that could hold it disagree by {disagreement_score(pool)[i]:.2f} nats"


def _ood(pool: Pool, i: int, *_: object) -> str:
    return f"it is strange: p_familiar {pool.p_familiar[i]:.3g}, p_owned {pool.p_owned[i]:.3g}"


def _diverse(pool: Pool, i: int, *_: object) -> str:
    doubt = entropy_score(pool)[i]
    return f"uncertain by {doubt:.2f} nats, and unlike what is labelled or stands before it"


def _representatives(pool: Pool, i: int, share: NDArray[np.float64], _: Sequence[str]) -> str:
    k = int(pool.channel[i])
    held = f"{100 * share[k]:.1f} % of the inputs and {pool.evidence[k]:.1f} labelled examples"
    return f"typical of channel {k}, which holds {held}"


def _unowned(pool: Pool, i: int, share: NDArray[np.float64], labels: Sequence[str]) -> str:
    return f"p_owned {pool.p_owned[i]:.3g}; {_representatives(pool, i, share, labels)}"


_REASONS: Mapping[Strategy, _Reason] = {
    Strategy.ENTROPY: _entropy,
    Strategy.MARGIN: _margin,
    Strategy.EPISTEMIC: _epistemic,
    Strategy.DISAGREEMENT: _disagreement,
    Strategy.OOD: _ood,
    Strategy.DIVERSE: _diverse,
    Strategy.REPRESENTATIVES: _representatives,
    Strategy.UNOWNED: _unowned,
}
