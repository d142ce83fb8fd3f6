"""The terms of the objective against closed forms and independent libraries."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import log_loss, mutual_info_score
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from training.config import ModelConfig
from training.model.encoder import Encoding
from training.model.network import RcmVae
from training.objective import (
    blended_embedding,
    elbo_terms,
    gather_channels,
    graph_label_nll,
    label_assignment,
    moved_usage,
    mutual_information,
    posterior_mean,
    pseudo_label_nll,
    ramp,
    supervised_nll,
    usage_entropy,
    weights_at,
)
from training.objective_config import ObjectiveConfig, OptionsConfig
from training.routing import top_channels

SEEDS = st.integers(0, 2**31)
CHANNELS = 6
STANDARD = Normal(torch.tensor(0.0), torch.tensor(1.0))


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def soft(seed: int, *shape: int) -> Tensor:
    return (2 * draw(seed, *shape)).softmax(dim=-1)


def log_probability(logits: Tensor, x: Tensor) -> Tensor:
    """Of images x under independent Bernoulli values; x may lie between 0 and 1."""
    images = Independent(Bernoulli(logits=logits, validate_args=False), 3)
    value: Tensor = images.log_prob(x)  # type: ignore[no-untyped-call]
    return value


def test_gather_channels_picks_rows() -> None:
    values, channel = draw(0, 3, CHANNELS, 2), torch.tensor([[5, 0], [1, 1], [2, 4]])
    picked = gather_channels(values, channel)
    for b in range(3):
        for m in range(2):
            torch.testing.assert_close(picked[b, m], values[b, int(channel[b, m])])


class Brute(NamedTuple):
    reconstruction: float
    kl: float


def brute_force(network: RcmVae, x: Tensor, encoding: Encoding) -> Brute:
    """The expectation over every channel, one input and one channel at a time."""
    r = encoding.logits.softmax(dim=1)
    nll, kl = 0.0, 0.0
    for b in range(len(x)):
        for k in range(network.num_channels):
            z = encoding.mu[b : b + 1, k]
            logits = network.decode(z, torch.tensor([k])).logits
            log_p = log_probability(logits, x[b])
            own = Normal(encoding.mu[b, k], (0.5 * encoding.logvar[b, k]).exp())
            weight = float(r[b, k])
            nll -= weight * float(log_p) / len(x)
            kl += weight * float(kl_divergence(own, STANDARD).sum()) / len(x)
    return Brute(nll, kl)


def test_expectation_over_all_channels_is_the_brute_force_sum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        encoder="conv", latent_dim=2, filters=2, features=8, embedding_dim=3, decoder_hidden=8
    )
    network = RcmVae((1, 4, 4), config, CHANNELS)
    x = torch.rand(5, 1, 4, 4)
    # Without noise the expectation has a closed form.
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    with torch.no_grad():
        encoding = network.encode(x)
        routing = top_channels(encoding.logits.softmax(dim=1), CHANNELS)
        elbo = elbo_terms(network, x, encoding, routing)
        expected = brute_force(network, x, encoding)
    assert elbo.reconstruction.item() == pytest.approx(expected.reconstruction, rel=1e-5)
    assert elbo.kl.item() == pytest.approx(expected.kl, rel=1e-5)


def test_supervised_term_by_hand_and_without_gradient_to_tau() -> None:
    r = torch.tensor([[0.75, 0.25], [0.5, 0.5]], requires_grad=True)
    tau = torch.tensor([[0.9, 0.1], [0.2, 0.8]], requires_grad=True)
    loss = supervised_nll(r, tau, torch.tensor([0, 1]))
    expected = -(math.log(0.75 * 0.9 + 0.25 * 0.2) + math.log(0.5 * 0.1 + 0.5 * 0.8)) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert tau.grad is None
    assert r.grad is not None
    assert r.grad.abs().sum() > 0


def test_supervised_term_is_finite_where_no_channel_speaks_for_the_label() -> None:
    loss = supervised_nll(torch.tensor([[1.0, 0.0]]), torch.eye(2), torch.tensor([1]))
    assert math.isfinite(loss.item())
    assert loss.item() > 10


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_usage_entropy_is_that_of_scipy(seed: int) -> None:
    r = soft(seed, 9, CHANNELS)
    expected = scipy_entropy(r.mean(dim=0).double().numpy())
    assert usage_entropy(r.mean(dim=0)).item() == pytest.approx(float(expected), abs=1e-5)


def test_usage_entropy_counts_channels_in_even_use() -> None:
    assert math.exp(usage_entropy(torch.eye(4).mean(dim=0)).item()) == pytest.approx(4.0, abs=1e-5)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_mutual_information_of_hard_assignments_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 60)
    second = np.where(rng.random(60) < 0.3, rng.integers(0, 4, 60), first)
    onehot = torch.eye(4)
    # The joint is symmetrised, as if every pair had come in both orders.
    expected = mutual_info_score(np.concatenate([first, second]), np.concatenate([second, first]))
    actual = mutual_information(onehot[first], onehot[second]).item()
    assert actual == pytest.approx(float(expected), abs=1e-4)


def test_mutual_information_is_largest_for_equal_even_and_zero_for_unrelated_views() -> None:
    onehot = torch.eye(4).repeat(8, 1)
    assert mutual_information(onehot, onehot).item() == pytest.approx(math.log(4), abs=1e-4)
    even = torch.full((32, 4), 0.25)
    assert mutual_information(onehot, even).item() == pytest.approx(0.0, abs=1e-5)
    assert mutual_information(onehot[:1], onehot[:1]).item() == pytest.approx(0.0, abs=1e-5)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_mutual_information_is_symmetric_and_bounded(seed: int) -> None:
    first, second = soft(seed, 20, CHANNELS), soft(seed + 1, 20, CHANNELS)
    value = mutual_information(first, second)
    torch.testing.assert_close(value, mutual_information(second, first))
    assert -1e-5 <= value.item() <= math.log(CHANNELS)


def test_posterior_mean_by_hand() -> None:
    tau = posterior_mean(torch.tensor([[3.0, 1.0], [0.0, 0.0]]), 0.5)
    torch.testing.assert_close(tau, torch.tensor([[0.7, 0.3], [0.5, 0.5]]))


def test_label_assignment_keeps_what_no_label_speaks_for_apart() -> None:
    counts = torch.tensor([[9.0, 0.0], [0.0, 0.0]], requires_grad=True)
    r = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], requires_grad=True)
    assigned = label_assignment(r, counts, 1.0)
    tau = 10 / 11
    first = [0.9 * tau, 0.9 * (1 - tau), 0.1]
    rows = [first, [0.0, 0.0, 1.0], [0.45 * tau, 0.45 * (1 - tau), 0.55]]
    torch.testing.assert_close(assigned, torch.tensor(rows))
    eager = label_assignment(r, counts, 1.0, half=1.0 / 9.0)
    torch.testing.assert_close(eager[:, 2], torch.tensor([1 / 82, 1.0, 83 / 164]))
    assigned[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert counts.grad is None
    assert r.grad is not None


@given(
    progress=st.floats(-1, 2),
    start=st.floats(0, 1),
    length=st.floats(0.01, 1),
)
def test_ramp_is_numpys_interpolation(progress: float, start: float, length: float) -> None:
    expected = float(np.interp(progress, [start, start + length], [0.0, 1.0]))
    assert ramp(progress, start, start + length) == pytest.approx(expected, abs=1e-9)


def test_ramp_without_length_is_a_step() -> None:
    assert [ramp(p, 0.5, 0.5) for p in (0.0, 0.49, 0.5, 1.0)] == [0.0, 0.0, 1.0, 1.0]
    assert ramp(0.0, 0.0, 0.0) == 1.0


def test_weights_follow_their_ramps() -> None:
    config = ObjectiveConfig(
        kl_warmup=0.5,
        supervised=3.0,
        supervised_ramp=(0.2, 0.4),
        usage=2.0,
        usage_fade=(0.5, 0.9),
        label_agreement=4.0,
        label_agreement_ramp=(0.0, 1.0),
        pseudo_label=5.0,
        pseudo_label_ramp=(0.2, 0.7),
        graph_label=6.0,
        graph_label_fade=(0.3, 0.7),
    )
    at = [weights_at(progress, config) for progress in (0.0, 0.3, 0.7, 1.0)]
    assert [w.kl for w in at] == pytest.approx([0.0, 0.6, 1.0, 1.0])
    assert [w.supervised for w in at] == pytest.approx([0.0, 1.5, 3.0, 3.0])
    assert [w.usage for w in at] == pytest.approx([2.0, 2.0, 1.0, 0.0])
    assert [w.label_agreement for w in at] == pytest.approx([0.0, 1.2, 2.8, 4.0])
    assert [w.pseudo_label for w in at] == pytest.approx([0.0, 1.0, 5.0, 5.0])
    assert [w.graph_label for w in at] == pytest.approx([6.0, 6.0, 0.0, 0.0])


@given(SEEDS, st.floats(0.3, 0.95))
def test_pseudo_labels_are_the_cross_entropy_of_confident_targets(seed: int, least: float) -> None:
    target, learning, tau = soft(seed, 9, CHANNELS), soft(seed + 1, 9, CHANNELS), soft(seed, 6, 3)
    named = (target @ tau).numpy()
    sure = named.max(axis=1) >= least
    expected = 0.0
    if sure.any():
        labels = named.argmax(axis=1)[sure]
        expected = log_loss(labels, (learning @ tau).numpy()[sure], labels=[0, 1, 2]) * sure.mean()
    value = pseudo_label_nll(target, learning, tau, least)
    assert value.item() == pytest.approx(expected, abs=1e-5)


def test_pseudo_labels_teach_the_learning_view_alone() -> None:
    target, learning = soft(0, 4, 6).requires_grad_(), soft(1, 4, 6).requires_grad_()
    tau = torch.eye(6).requires_grad_()
    pseudo_label_nll(target, learning, tau, 0.2).backward()  # type: ignore[no-untyped-call]
    assert learning.grad is not None
    assert learning.grad.any()
    assert target.grad is None
    assert tau.grad is None


@given(SEEDS, st.floats(0.0, 1.0))
def test_graph_labels_are_a_weighed_cross_entropy(seed: int, share: float) -> None:
    r, tau = soft(seed, 9, CHANNELS), soft(seed, 6, 3)
    label = np.random.default_rng(seed).integers(0, 3, 9)
    target = share * torch.eye(3)[label]
    expected = share * log_loss(label, (r @ tau).numpy(), labels=[0, 1, 2])
    assert graph_label_nll(r, tau, target).item() == pytest.approx(expected, abs=1e-5)


def test_graph_labels_teach_no_map() -> None:
    r, tau = soft(0, 4, 6).requires_grad_(), torch.eye(6).requires_grad_()
    graph_label_nll(r, tau, soft(1, 4, 6)).backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert r.grad.any()
    assert tau.grad is None


def test_options_have_their_own_ramps() -> None:
    options = OptionsConfig(sparsity=3.0, sparsity_ramp=(0.5, 1.0), soft_embedding=0.4)
    at = [weights_at(progress, ObjectiveConfig(options=options)) for progress in (0.0, 0.3, 0.75)]
    assert [w.sparsity for w in at] == pytest.approx([0.0, 0.0, 1.5])
    assert [w.soft_embedding for w in at] == pytest.approx([1.0, 0.25, 0.0])
    assert weights_at(0.0, ObjectiveConfig()).soft_embedding == 0.0


def test_moved_usage_by_hand_and_without_gradient_to_the_past() -> None:
    past = torch.tensor([0.5, 0.5], requires_grad=True)
    r = torch.tensor([[1.0, 0.0], [0.6, 0.4]], requires_grad=True)
    usage = moved_usage(past, r, 0.75)
    torch.testing.assert_close(usage, torch.tensor([0.575, 0.425]))
    usage[0].backward()  # type: ignore[no-untyped-call]
    assert past.grad is None
    assert r.grad is not None
    torch.testing.assert_close(r.grad[:, 0], torch.full((2,), 0.125))
    torch.testing.assert_close(moved_usage(past, r, 0.0), r.mean(dim=0))


def test_blended_embedding_goes_from_the_average_to_the_own() -> None:
    table = torch.tensor([[0.0, 0.0], [4.0, 8.0]])
    r, channel = torch.tensor([[0.75, 0.25]]), torch.tensor([[1, 0]])
    at = [blended_embedding(table, r, channel, share)[0] for share in (1.0, 0.5, 0.0)]
    torch.testing.assert_close(at[0], torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    torch.testing.assert_close(at[1], torch.tensor([[2.5, 5.0], [0.5, 1.0]]))
    torch.testing.assert_close(at[2], torch.tensor([[4.0, 8.0], [0.0, 0.0]]))
