"""What an answer of POST /predict must be under any load. Without locust, which patches sockets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECISIONS = frozenset({"known", "unknown_class", "out_of_distribution"})
TOLERANCE = 1e-3
"""Of probabilities and places, whose last bits depend on what ran beside a row."""


class Unexpected(Exception):
    """The service answered something that its contract does not allow."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the service says about its inputs: their shape, and the range of their values."""

    shape: tuple[int, ...]
    low: float
    high: float


def parse_bundle(document: Mapping[str, Any]) -> Served:
    """Read GET /bundle."""
    signature = document["input"]
    return Served(tuple(signature["shape"]), float(signature["low"]), float(signature["high"]))


def check_predictions(document: Mapping[str, Any], rows: int) -> None:
    """Hold an answer against the contract, every row of it.

    Raises:
        Unexpected: naming what is wrong with it.
    """
    predictions: Sequence[Mapping[str, Any]] = document["predictions"]
    if len(predictions) != rows:
        raise Unexpected(f"expected {rows} predictions, got {len(predictions)}")
    labels = predictions[0]["probabilities"].keys()
    for prediction in predictions:
        probabilities: Mapping[str, float] = prediction["probabilities"]
        if prediction["ood"]["decision"] not in DECISIONS:
            raise Unexpected(f"unknown decision {prediction['ood']['decision']!r}")
        if probabilities.keys() != labels:
            raise Unexpected("rows of one answer have different labels")
        if prediction["label"] not in probabilities:
            raise Unexpected(f"no probability for the label {prediction['label']!r}")
        if abs(sum(probabilities.values()) - 1) > TOLERANCE:
            raise Unexpected(f"probabilities sum to {sum(probabilities.values()):.6f}")


def read_rows(document: Mapping[str, Any]) -> NDArray[np.float64]:
    """Probabilities and place of every row, (rows, labels + 2)."""
    rows = [[*row["probabilities"].values(), *row["position"]] for row in document["predictions"]]
    return np.array(rows, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Said:
    """What each version said of the same inputs, so that a reply made of two versions shows.

    A version says the same of an input whenever it is asked. So an answer that names a version, and
    of which a row differs from what that version said before, is of no version.

    Attributes:
        first: the rows of the first answer of every version.
    """

    first: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def check(self, version: str, rows: NDArray[np.float64]) -> None:
        """Compare an answer with the first one of its version.

        Args:
            version: that the answer names.
            rows: of `read_rows`, of always the same inputs.

        Raises:
            Unexpected: they differ, by more than `TOLERANCE`.
        """
        first = self.first.setdefault(version, rows)
        if rows.shape != first.shape:
            raise Unexpected(f"{version} said {first.shape} numbers before, now {rows.shape}")
        apart = np.count_nonzero(np.abs(rows - first).max(axis=1) > TOLERANCE)
        if apart:
            raise Unexpected(f"{apart} of {len(rows)} rows are not what {version} said before")

    def told_apart(self) -> float:
        """Share of the rows by which two versions can be told apart, of the pair most alike.

        1 where fewer than two versions answered.
        """
        return min((_differing(a, b) for a, b in combinations(self.first.values(), 2)), default=1.0)


def _differing(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # Other labels, other numbers: then every row differs.
    if a.shape != b.shape:
        return 1.0
    return float(np.mean(np.abs(a - b).max(axis=1) > TOLERANCE))
