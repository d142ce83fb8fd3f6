"""Out-of-distribution scores over a supervised network: MSP, energy, Mahalanobis, KNN and ViM.

The formulas are those of pytorch-ood 0.4.0 on the features and logits of a network. The package
itself cannot stand beside torch for CPUs: it imports torchvision, whose wheels want CUDA's torch.
Higher is stranger.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.neighbors import NearestNeighbors
from torch import nn

from training.data import Examples
from training.encode import chunks

NEIGHBOURS = 50
"""As Sun et al. 2022 have it for ten classes; a tenth of the training inputs where they are few."""

RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network says of n inputs.

    Attributes:
        features: before the last layer, float64 (n, F).
        logits: float64 (n, C).
    """

    features: NDArray[np.float64]
    logits: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PostHoc:
    """Five scores, fitted on the inputs that the network was trained with.

    Attributes:
        trained: what the network says of them.
        y: their labels, (n,).
        weight: of the last layer, (C, F).
        bias: of the last layer, (C,).
    """

    trained: Seen
    y: NDArray[np.int64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, seen: Seen) -> Mapping[str, NDArray[np.float64]]:
        """All five by name, each (n,)."""
        return {
            "msp": 1.0 - softmax(seen.logits, axis=1).max(axis=1),
            "energy": -logsumexp(seen.logits, axis=1),
            "mahalanobis": self._mahalanobis(seen.features),
            "knn": self._knn(seen.features),
            "vim": self._vim(seen),
        }

    def _mahalanobis(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Least squared distance to a class mean under one covariance (Lee et al. 2018)."""
        own, classes = self.trained.features, np.unique(self.y)
        means = np.stack([own[self.y == c].mean(axis=0) for c in classes])
        residual = own - means[np.searchsorted(classes, self.y)]
        scatter = residual.T @ residual + RIDGE * np.eye(own.shape[1])
        precision = np.linalg.inv(scatter)
        apart = [features - mean for mean in means]
        distances = [np.einsum("nf,fg,ng->n", d, precision, d, optimize=True) for d in apart]
        return np.asarray(np.min(distances, axis=0))

    def _knn(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance to the k-th nearest trained input, features of unit length."""
        count = max(1, min(NEIGHBOURS, len(self.y) // 10))
        found = NearestNeighbors(n_neighbors=count).fit(_unit(self.trained.features))
        return np.asarray(found.kneighbors(_unit(features))[0][:, -1])

    def _vim(self, seen: Seen) -> NDArray[np.float64]:
        """Length outside the principal subspace, as a logit, less the energy (Wang et al. 2022)."""
        origin = -np.linalg.pinv(self.weight) @ self.bias
        centred = self.trained.features - origin
        kept = centred.shape[1] // 2
        directions = np.linalg.eigh(centred.T @ centred / len(centred))[1]
        null = directions[:, : centred.shape[1] - kept]
        own = np.linalg.norm(centred @ null, axis=1)
        scale = self.trained.logits.max(axis=1).mean() / own.mean()
        length = np.linalg.norm((seen.features - origin) @ null, axis=1)
        return np.asarray(scale * length - logsumexp(seen.logits, axis=1))


def post_hoc(network: nn.Sequential, trained: Examples) -> PostHoc:
    """Fit the scores to a network, a trunk and one linear layer, and what it was trained with."""
    head = network[1]
    assert isinstance(head, nn.Linear)
    weight, bias = (part.detach().double().numpy() for part in (head.weight, head.bias))
    return PostHoc(look(network, trained.x), trained.y, weight, bias)


def look(network: nn.Sequential, x: NDArray[np.float32]) -> Seen:
    """Features and logits of inputs (n, *shape)."""
    network.eval()
    with torch.no_grad():
        inputs = torch.from_numpy(x)
        features = torch.cat([network[0](inputs[rows]) for rows in chunks(len(x))])
        logits = network[1](features)
    return Seen(features.double().numpy(), logits.double().numpy())


def _unit(features: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-12))
