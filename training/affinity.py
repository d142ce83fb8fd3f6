"""How near the channels lie to each other, as the training stream sees them."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import kneighbors_graph

from training.encode import Encoded

NEIGHBOURS = 10
MOST_INPUTS = 5_000


def channel_affinity(encoded: Encoded) -> NDArray[np.float64]:
    """Mass that the channels exchange over the nearest neighbours of the inputs, (K, K).

    J = R^T G R / n, with R the responsibilities and G the symmetrised graph of each input's
    NEIGHBOURS nearest by the cosine of the centred features. No label has a part in it.

    Args:
        encoded: inputs of the training stream; of more than MOST_INPUTS the first ones are used.
    """
    features = encoded.features[:MOST_INPUTS].astype(np.float64)
    centred = features - features.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    nearest = kneighbors_graph(unit, min(NEIGHBOURS, len(unit) - 1))
    graph = nearest.maximum(nearest.T)
    r = encoded.responsibilities()[:MOST_INPUTS]
    return np.asarray(r.T @ (graph @ r)) / len(r)
