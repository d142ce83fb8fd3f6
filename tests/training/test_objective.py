"""The terms of the objective against closed forms and independent libraries."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from training.config import ModelConfig, ObjectiveConfig
from training.model.encoder import Encoding
from training.model.network import RcmVae
from training.objective import (
    bernoulli_nll,
    combine,
    elbo_terms,
    gather_channels,
    gaussian_kl,
    label_assignment,
    mutual_information,
    posterior_mean,
    ramp,
    supervised_nll,
    top_channels,
    usage_entropy,
    weights_at,
)

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


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_gaussian_kl_is_that_of_torch_distributions(seed: int) -> None:
    mu, logvar = draw(seed, 5, 3, 4), draw(seed + 1, 5, 3, 4)
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), STANDARD).sum(dim=-1)
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected, atol=1e-4, rtol=1e-5)


def test_bernoulli_nll_of_binary_inputs_is_the_log_probability() -> None:
    logits = draw(0, 4, 3, 1, 2, 5)
    x = (draw(1, 4, 1, 2, 5) > 0).float()
    expected = -log_probability(logits, x.unsqueeze(1))
    torch.testing.assert_close(bernoulli_nll(logits, x), expected)


def test_bernoulli_nll_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)]]])
    x = torch.tensor([[0.25, 0.5]])
    # p = 1/2 and 3/4: log 2, and the mean of -log 3/4 and -log 1/4.
    expected = math.log(2.0) - 0.5 * (math.log(0.75) + math.log(0.25))
    assert bernoulli_nll(logits, x).item() == pytest.approx(expected, abs=1e-6)


@given(SEEDS, st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_top_channels_are_the_largest_renormalised(seed: int, count: int) -> None:
    r = soft(seed, 7, CHANNELS)
    routing = top_channels(r, count)
    assert routing.channel.shape == routing.weight.shape == (7, min(count, CHANNELS))
    torch.testing.assert_close(routing.weight.sum(dim=1), torch.ones(7))
    for row, channels, weights in zip(r.numpy(), routing.channel, routing.weight, strict=True):
        best = np.sort(row)[::-1][: min(count, CHANNELS)]
        np.testing.assert_allclose(row[channels.numpy()], best)
        np.testing.assert_allclose(weights.numpy(), best / best.sum(), rtol=1e-5)


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
            logits = network.decode(z, torch.tensor([k]))
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
    config = ModelConfig(latent_dim=2, filters=2, features=8, embedding_dim=3, decoder_hidden=8)
    network = RcmVae((1, 4, 4), config, CHANNELS)
    x = torch.rand(5, 1, 4, 4)
    # Without noise the expectation has a closed form.
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    with torch.no_grad():
        encoding = network.encode(x)
        routing = top_channels(encoding.logits.softmax(dim=1), CHANNELS)
        reconstruction, kl = elbo_terms(network, x, encoding, routing)
        expected = brute_force(network, x, encoding)
    assert reconstruction.item() == pytest.approx(expected.reconstruction, rel=1e-5)
    assert kl.item() == pytest.approx(expected.kl, rel=1e-5)


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
    assert usage_entropy(r).item() == pytest.approx(float(expected), abs=1e-5)


def test_usage_entropy_counts_channels_in_even_use() -> None:
    assert math.exp(usage_entropy(torch.eye(4)).item()) == pytest.approx(4.0, abs=1e-5)


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
    )
    at = [weights_at(progress, config) for progress in (0.0, 0.3, 0.7, 1.0)]
    assert [w.kl for w in at] == pytest.approx([0.0, 0.6, 1.0, 1.0])
    assert [w.supervised for w in at] == pytest.approx([0.0, 1.5, 3.0, 3.0])
    assert [w.usage for w in at] == pytest.approx([2.0, 2.0, 1.0, 0.0])
    assert [w.label_agreement for w in at] == pytest.approx([0.0, 1.2, 2.8, 4.0])


def test_loss_is_the_weighted_sum_in_which_usage_and_agreements_are_rewards() -> None:
    config = ObjectiveConfig(
        reconstruction=2.0, channel_agreement=3.0, usage=5.0, supervised=7.0, label_agreement=11.0
    )
    weights = weights_at(1.0, config)
    values = [torch.tensor(v) for v in (1.0, 10.0, 100.0, 1000.0, 0.1, 0.01)]
    terms = combine(*values, weights=weights, config=config)
    assert terms.loss.item() == pytest.approx(2 * 11.0 + 7 * 100.0 - 0 - 3 * 0.1 - 11 * 0.01)
    early = combine(*values, weights=weights_at(0.0, config), config=config)
    assert early.loss.item() == pytest.approx(2 * 1.0 - 5 * 1000.0 - 3 * 0.1, rel=1e-5)
