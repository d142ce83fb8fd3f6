"""Labels spread over the inputs before the fit: what the nearest labelled examples say of each.

With few labels the first epochs decide which inputs come to share channels. A graph over the inputs
knows something of that before any weight does.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import kneighbors_graph

from training.resemblance import points_of

NEIGHBOURS = 7
MOST_INPUTS = 10_000
"""Unlabelled inputs in the graph: its time grows with their square."""

SURVIVAL = 0.9
"""Chance that a walk goes on living from one step to the next."""

_STEPS = 100
"""After so many steps less than 3e-5 of the walks are alive."""


def graph_labels(
    x: NDArray[np.float32],
    labelled: NDArray[np.float32],
    y: NDArray[np.int64],
    num_labels: int,
) -> NDArray[np.float32]:
    """Chances that a walk from each input ends at an example of each label, (n, C).

    The walk goes along the symmetrised graph of the NEIGHBOURS nearest inputs and stops at the
    first labelled example (Zhu, Ghahramani and Lafferty 2003), unless it dies before. So a row sums
    to less than one, and to little where no label is near.

    Args:
        x: unlabelled inputs as the network works in them, (n, *shape). The labelled ones may be
            among them. Of more than MOST_INPUTS the first are used, the others' chances are zero.
        labelled: labelled inputs likewise, (m, *shape).
        y: their labels, (m,).
        num_labels: C.
    """
    shown, count = x[:MOST_INPUTS], len(labelled)
    step = _steps(points_of(np.concatenate([labelled, shown])))
    ends = np.eye(num_labels)[y]
    chances = np.zeros((step.shape[0], num_labels))
    chances[:count] = ends
    for _ in range(_STEPS):
        chances = SURVIVAL * (step @ chances)
        chances[:count] = ends
    targets = np.zeros((len(x), num_labels), dtype=np.float32)
    targets[: len(shown)] = chances[count:]
    return targets


def _steps(points: NDArray[np.float32]) -> csr_array:
    """Where a walk goes from each point, sparse (n, n), rows sum to one."""
    nearest = csr_array(kneighbors_graph(points, min(NEIGHBOURS, len(points) - 1)))
    graph = nearest.maximum(nearest.T).tocsr()
    return csr_array(graph.multiply(1.0 / graph.sum(axis=1)[:, None]))
