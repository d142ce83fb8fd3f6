"""The peers' scores against scikit-learn, and on inputs that are far from what was trained."""

import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from torch import nn

from benchmarks.peers.post_hoc import PostHoc, look, post_hoc
from training.data import Examples

NAMES = {"msp", "energy", "mahalanobis", "knn", "vim"}


def fitted(seed: int = 0) -> tuple[nn.Sequential, Examples]:
    """Three clouds in five dimensions, and a last layer that tells them."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    y = np.arange(300) % 3
    x = (4.0 * np.eye(5)[y] + 0.3 * rng.normal(size=(300, 5))).astype(np.float32)
    network = nn.Sequential(nn.Sequential(nn.Linear(5, 6)), nn.Linear(6, 3))
    return network, Examples(x, y.astype(np.int64))


@pytest.fixture
def scores() -> PostHoc:
    return post_hoc(*fitted())


def test_a_look_is_the_networks_own_answer() -> None:
    network, examples = fitted()
    seen = look(network, examples.x)
    with torch.no_grad():
        expected = network(torch.from_numpy(examples.x)).numpy()
    np.testing.assert_allclose(seen.logits, expected, rtol=1e-5, atol=1e-6)


def test_every_score_has_a_value_for_every_input(scores: PostHoc) -> None:
    found = scores.scores(scores.trained)
    assert found.keys() == NAMES
    assert all(np.isfinite(values).all() and len(values) == 300 for values in found.values())


def test_mahalanobis_is_that_of_scikit_learn(scores: PostHoc) -> None:
    """But for the number of inputs: pytorch-ood does not divide by it."""
    features, y = scores.trained.features, scores.y
    means = np.stack([features[y == c].mean(axis=0) for c in range(3)])
    reference = EmpiricalCovariance(assume_centered=True).fit(features - means[y])
    scatter = 300 * reference.covariance_ + 1e-6 * np.eye(6)
    precision = np.linalg.inv(scatter)
    expected = [min((f - m) @ precision @ (f - m) for m in means) for f in features[:20]]
    np.testing.assert_allclose(scores.scores(scores.trained)["mahalanobis"][:20], expected)


def test_what_lies_far_off_is_stranger(scores: PostHoc) -> None:
    network, examples = fitted()
    own = scores.scores(scores.trained)
    off = scores.scores(look(network, -40.0 * examples.x[:50]))
    for name in ("mahalanobis", "knn"):
        assert off[name].min() > own[name].max(), name


def test_vim_is_blind_in_the_principal_subspace(scores: PostHoc) -> None:
    """Without a length outside of it, what is left is the energy."""
    weight, bias = scores.weight, scores.bias
    origin = -np.linalg.pinv(weight) @ bias
    centred = scores.trained.features - origin
    directions = np.linalg.eigh(centred.T @ centred)[1][:, 3:]
    inside = origin + centred @ directions @ directions.T
    seen = type(scores.trained)(inside, inside @ weight.T + bias)
    found = scores.scores(seen)
    np.testing.assert_allclose(found["vim"], found["energy"], rtol=1e-6, atol=1e-6)
