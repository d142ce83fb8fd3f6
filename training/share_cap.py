"""A cap on what one author can add to the evidence of a class."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rcmvae.label_map import LabelMap


@dataclass(frozen=True, slots=True)
class ShareCap:
    """How much of a class's evidence may come from one author.

    Attributes:
        share: of all its examples, in [1/2, 1); below a half several could be over it at once.
        free: examples that an author may give at any rate, so that one person can teach a class.
    """

    share: float = 0.5
    free: float = 20.0

    def most(self, others: int) -> float:
        """Examples that an author may count for where others gave ``others`` of them."""
        return max(self.free, self.share / (1.0 - self.share) * others)


def capped(label_map: LabelMap, authors: Mapping[str, str], cap: ShareCap) -> LabelMap:
    """The map in which the labels of an author who gave more than the cap weigh less, all alike.

    Nothing is dropped, and more labels of others give his their weight back: weights are computed
    from the number of examples alone, so the order in which they came does not matter.

    Args:
        label_map: rows of the examples with an author may carry earlier weights.
        authors: of feedback, by id; examples without one, those of the fit, always weigh one.
        cap: see there.
    """
    names = np.array([authors.get(name, "") for name in label_map.ids])
    rows = label_map.contributions.copy()
    for column in range(len(label_map.labels)):
        of_label = label_map.contribution_labels == column
        for author in np.unique(names[of_label & (names != "")]).tolist():
            own = of_label & (names == author)
            weight = min(1.0, cap.most(int((of_label & ~own).sum())) / own.sum())
            rows[own] *= weight / rows[own].sum(axis=1, keepdims=True)
    return replace(label_map, contributions=rows)
