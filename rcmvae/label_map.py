"""The channel-to-label map: counts of evidence, and what follows from them.

Counts are sufficient statistics. Every labelled example is kept as one row of evidence, so adding
a label is an addition, taking one back a subtraction, and the map without one example is known
in closed form.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import psi

from rcmvae.errors import NoFreeChannel, UnknownLabel
from rcmvae.spreading import spread_labels

LABEL_ID = "train-"
"""Begins the id of a labelled example of the fit; the other examples came with feedback."""


def is_label_id(name: str) -> bool:
    """Whether an id of evidence belongs to a labelled example of a split, not to feedback."""
    return name.startswith(LABEL_ID)


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Evidence of n labelled examples over K channels and C labels.

    Attributes:
        labels: names of the C labels.
        contributions: what each example adds to the counts, float64 (n, K), non-negative.
        contribution_labels: index of each example's label, int64 (n,).
        ids: where each example comes from, such as a feedback id; distinct.
        alpha0: Dirichlet floor per label, > 0; of a channel, C times as much.
        resemblance: how much channels look like each other, (K, K): along it labels
            spread to channels without evidence. None: every floor is even over the labels.
    """

    labels: tuple[str, ...]
    contributions: NDArray[np.float64]
    contribution_labels: NDArray[np.int64]
    ids: tuple[str, ...]
    alpha0: float
    resemblance: NDArray[np.float64] | None = None

    @property
    def num_channels(self) -> int:
        """K."""
        return int(self.contributions.shape[1])

    @property
    def counts(self) -> NDArray[np.float64]:
        """Soft label counts s, (K, C), in units of labelled examples."""
        onehot = np.eye(len(self.labels))[self.contribution_labels]
        counts: NDArray[np.float64] = self.contributions.T @ onehot
        return counts

    @property
    def evidence(self) -> NDArray[np.float64]:
        """Labelled mass of every channel, (K,), in units of labelled examples."""
        mass: NDArray[np.float64] = self.contributions.sum(axis=0)
        return mass

    @property
    def floor(self) -> NDArray[np.float64]:
        """Dirichlet parameters before any evidence, (K, C), positive; rows sum to C alpha0."""
        return floor_of(self.counts, self.alpha0, self.resemblance)

    @property
    def tau(self) -> NDArray[np.float64]:
        """Posterior-mean map (s + floor) / sum_y (s + floor), (K, C), rows sum to one."""
        return posterior_mean(self.counts, self.floor)

    def index(self, label: str) -> int:
        """Column of a label.

        Raises:
            UnknownLabel: the label is not in the map.
        """
        try:
            return self.labels.index(label)
        except ValueError:
            raise UnknownLabel(f"label: expected one of {self.labels}, got {label!r}") from None

    def with_label(self, label: str) -> "LabelMap":
        """The map with one more label, without evidence; the same map where it is known."""
        return self if label in self.labels else replace(self, labels=(*self.labels, label))

    def without_labels(self, names: Collection[str]) -> "LabelMap":
        """The map without some labels and their examples."""
        places = np.array([label not in names for label in self.labels], dtype=bool)
        keep = places[self.contribution_labels]
        renumbered = np.cumsum(places) - 1
        return replace(
            self,
            labels=tuple(label for label in self.labels if label not in names),
            contributions=self.contributions[keep],
            contribution_labels=renumbered[self.contribution_labels[keep]].astype(np.int64),
            ids=tuple(name for name, kept in zip(self.ids, keep, strict=True) if kept),
        )

    def add(
        self, contributions: NDArray[np.float64], labels: Sequence[str], ids: Sequence[str]
    ) -> "LabelMap":
        """Add m examples; an id that is already there is left as it is, so a repeat adds nothing.

        Args:
            contributions: (m, K), non-negative.
            labels: m names that are in the map.
            ids: m ids; of an id that comes twice the first counts.

        Raises:
            UnknownLabel: a label is not in the map.
        """
        known = set(self.ids)
        first = {name: i for i, name in reversed(list(enumerate(ids)))}
        fresh = sorted(i for name, i in first.items() if name not in known)
        columns = np.array([self.index(labels[i]) for i in fresh], dtype=np.int64)
        return replace(
            self,
            contributions=np.concatenate([self.contributions, contributions[fresh]]),
            contribution_labels=np.concatenate([self.contribution_labels, columns]),
            ids=(*self.ids, *(ids[i] for i in fresh)),
        )

    def withdraw(self, ids: Sequence[str]) -> "LabelMap":
        """Take examples back; ids that are not there are ignored."""
        gone = set(ids)
        keep = np.array([name not in gone for name in self.ids], dtype=bool)
        return replace(
            self,
            contributions=self.contributions[keep],
            contribution_labels=self.contribution_labels[keep],
            ids=tuple(name for name in self.ids if name not in gone),
        )


def floor_of(
    counts: NDArray[np.float64], alpha0: float, resemblance: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The Dirichlet floor of counts (K, C): even, or spread along a resemblance (K, K)."""
    return np.asarray(alpha0 * counts.shape[1] * spread_floor(counts, resemblance))


def spread_floor(
    counts: NDArray[np.float64], resemblance: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """How every channel's floor is spread over the labels, (K, C), positive, rows sum to one."""
    if resemblance is None:
        return np.full_like(counts, 1.0 / counts.shape[1])
    return spread_labels(resemblance, counts)


def posterior_mean(
    counts: NDArray[np.float64], floor: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of Dir(s + floor) along the last axis, of the shape of ``counts``."""
    a = counts + floor
    mean: NDArray[np.float64] = a / a.sum(axis=-1, keepdims=True)
    return mean


def expected_entropy(
    counts: NDArray[np.float64], floor: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """E[H(tau_k)] for tau_k ~ Dir(s_k + floor_k), (K,), nats.

    psi(A + 1) - sum_y (a_y / A) psi(a_y + 1) with a = s + floor and A = sum a; psi is the
    digamma function (Wolpert and Wolf 1995, theorem 7).
    """
    a = counts + floor
    total = a.sum(axis=-1)
    value: NDArray[np.float64] = psi(total + 1.0) - (a * psi(a + 1.0)).sum(axis=-1) / total
    return np.maximum(value, 0.0)  # rounding may say otherwise where one label has all mass


def leave_one_out(
    label_map: LabelMap, responsibilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """p(y|x_i) under the map without example i, (n, C): its own contribution is subtracted.

    Args:
        label_map: a map of n examples.
        responsibilities: r(x_i) of the same examples in the same order, (n, K).
    """
    # The floor follows the evidence, so that it is another one without the example.
    counts = label_map.counts
    predicted = np.empty((len(label_map.ids), len(label_map.labels)))
    rows = zip(
        label_map.contributions, label_map.contribution_labels, responsibilities, strict=True
    )
    for i, (own, label, r) in enumerate(rows):
        without = counts.copy()
        without[:, label] = np.maximum(without[:, label] - own, 0.0)
        floor = floor_of(without, label_map.alpha0, label_map.resemblance)
        predicted[i] = r @ posterior_mean(without, floor)
    return predicted


def free_channels(label_map: LabelMap, free_mass: float) -> NDArray[np.bool_]:
    """Channels that no label speaks for, (K,): less labelled mass than ``free_mass`` examples.

    The rule "max_y tau < 0.05" that is published for this model cannot fire with ten labels and
    a Dirichlet floor; evidence in units of examples can.
    """
    return np.asarray(label_map.evidence < free_mass)


def claim_channels(
    label_map: LabelMap, responsibilities: NDArray[np.float64], free_mass: float, most: int = 3
) -> NDArray[np.int64]:
    """Free channels that a new label claims: those its first examples use most.

    A second and third channel are claimed only where they carry a tenth of the examples.

    Args:
        label_map: the map before the new label.
        responsibilities: r of the new label's first examples, (m, K).
        free_mass: see ``free_channels``.
        most: how many channels at the most.

    Returns:
        Channel indices, most used first, at least one.

    Raises:
        NoFreeChannel: no channel is free.
    """
    free = free_channels(label_map, free_mass)
    if not free.any():
        raise NoFreeChannel(
            f"expected a channel with less than {free_mass} labelled examples, "
            f"got none among {label_map.num_channels}: a refit has to make room"
        )
    usage = np.where(free, responsibilities.mean(axis=0), -1.0)
    order = np.argsort(-usage, kind="stable")[:most]
    return np.asarray(order[(usage[order] >= 0.1) | (np.arange(order.size) == 0)])


def responsibility_score(
    responsibilities: NDArray[np.floating], tau: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score 1 - max_k (r_k max_y tau_{k,y}), (N,): high where no channel is sure of a label."""
    owned: NDArray[np.float64] = (responsibilities * tau.max(axis=1)).max(axis=1)
    return 1.0 - owned
