"""How sure probabilities are: the temperature of the channels and the floor of the label map.

Both are chosen by the labelled examples alone. Each is answered by the map without it, which is
known in closed form, and the pair under which these answers are most likely is taken. So no label
has to be held out. Nothing here needs torch: a relabel chooses anew.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from rcmvae.label_map import LabelMap, spread_floor

IMAGINED = 0.5
"""Weight of one imagined example whose label could be any, in examples.

Where every example is answered right without itself, the likelihood alone would sharpen without
end. Half an example (Krichevsky and Trofimov 1981; Platt 1999 does the same with a whole one) says
that a hundred right answers are not yet certainty.
"""

TEMPERATURES = (1.0, 8.0)
FLOORS = (1e-3, 0.5)
"""A floor far below lets what labelled examples leave in a channel in passing, a thousandth of one,
outvote the channels that resemble it (docs/decisions/0023-new-labels-mnist.md)."""

MOST_ELEMENTS = 20_000_000
"""Of many examples so many are judged, evenly spaced, that n K C stays below this."""

_TINY = 1e-12
_SMALLEST = np.finfo(np.float64).tiny
_STEPS = (9, 12)
_STARTS = 3


@dataclass(frozen=True, slots=True)
class Sharpness:
    """What decides how sure p(y|x) is.

    Attributes:
        temperature: divides the channel logits, within TEMPERATURES.
        alpha0: Dirichlet floor of a label, within FLOORS.
    """

    temperature: float
    alpha0: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Examples and the map without each, where the parameters are still open.

    Attributes:
        log_responsibilities: log r(x_i), up to a constant a row, (n, K).
        counts: s without example i, (n, K, C).
        direction: what the floor of a channel is spread by, rows sum to one, (n, K, C).
        label: index of each example's label, (n,).
    """

    log_responsibilities: NDArray[np.float64]
    counts: NDArray[np.float64]
    direction: NDArray[np.float64]
    label: NDArray[np.int64]

    @classmethod
    def of(cls, label_map: LabelMap) -> "LeftOut":
        """All examples of a map, or as many as MOST_ELEMENTS allows; at least one."""
        per_example = label_map.num_channels * len(label_map.labels)
        most = max(1, MOST_ELEMENTS // per_example)
        chosen = np.arange(0, len(label_map.ids), -(-len(label_map.ids) // most))
        own, label = label_map.contributions[chosen], label_map.contribution_labels[chosen]
        counts = np.repeat(label_map.counts[None], len(chosen), axis=0)
        rows = np.arange(len(chosen))
        counts[rows, :, label] = np.maximum(counts[rows, :, label] - own, 0.0)
        direction = np.stack([spread_floor(each, label_map.resemblance) for each in counts])
        return cls(np.log(np.maximum(own, _SMALLEST)), counts, direction, label)

    def probabilities(self, sharpness: Sharpness) -> NDArray[np.float64]:
        """p(y|x_i) under the map without example i, (n, C), rows sum to one."""
        logits = self.log_responsibilities / sharpness.temperature
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        floor = sharpness.alpha0 * self.counts.shape[2]
        mass = self.counts.sum(axis=2) + floor
        share = weights / weights.sum(axis=1, keepdims=True) / mass
        seen = np.einsum("nk,nkc->nc", share, self.counts)
        presumed = np.einsum("nk,nkc->nc", share, self.direction)
        return np.asarray(seen + floor * presumed)

    def loss(self, sharpness: Sharpness) -> float:
        """Mean -log p(y_i|x_i) in nats, IMAGINED examples of any label included."""
        logs = np.log(self.probabilities(sharpness) + _TINY)
        count = len(self.label)
        right = logs[np.arange(count), self.label].sum()
        any_label = logs.mean()
        return float(-(right + IMAGINED * any_label) / (count + IMAGINED))


def fit_sharpness(label_map: LabelMap) -> Sharpness:
    """The temperature and floor under which the examples, each left out, are most likely.

    A grid first, as the loss may have several minima, then Nelder and Mead 1965 from its best few.

    Args:
        label_map: a map with at least one example; its own floor has no part in it.
    """
    left_out = LeftOut.of(label_map)
    warm, sharp = (np.log(np.array(each)) for each in (TEMPERATURES, FLOORS))

    def loss(logs: NDArray[np.float64]) -> float:
        return left_out.loss(_sharpness(logs))

    axes = (
        np.linspace(warm[0], warm[1], _STEPS[0]),
        np.linspace(sharp[0], sharp[1], _STEPS[1]),
    )
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    best = grid[np.argsort([loss(logs) for logs in grid])[:_STARTS]]
    found = [
        minimize(
            loss,
            start,
            method="Nelder-Mead",
            bounds=Bounds(np.array([warm[0], sharp[0]]), np.array([warm[1], sharp[1]])),
            options={"xatol": 1e-3, "fatol": 1e-7, "maxfev": 120},
        )
        for start in best
    ]
    return _sharpness(np.asarray(min(found, key=lambda each: float(each.fun)).x))


def _sharpness(logs: NDArray[np.float64]) -> Sharpness:
    temperature, alpha0 = np.exp(logs)
    return Sharpness(float(temperature), float(alpha0))
