"""Priors: moments, and KL against torch.distributions and against sampling."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.training.tiny import tiny_config, tiny_dataset
from training.config import ModelConfig
from training.model.network import RcmVae
from training.model.priors import (
    GeometricPrior,
    LearnablePi,
    MixturePrior,
    Moments,
    StandardPrior,
    UniformPi,
    VampPrior,
    build_prior,
    circle,
    gaussian_kl,
    grid,
    latent_kl,
    standardised,
)
from training.state import new_state

SEEDS = st.integers(0, 2**31)
SMALL = {"latent_dim": 3, "filters": 2, "features": 8, "embedding_dim": 3, "decoder_hidden": 8}


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def normal(mean: Tensor, logvar: Tensor) -> Normal:
    return Normal(mean, (0.5 * logvar).exp())


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_gaussian_kl_is_that_of_torch_distributions(seed: int) -> None:
    mu, logvar = draw(seed, 5, 3, 4), draw(seed + 1, 5, 3, 4)
    standard = Normal(torch.tensor(0.0), torch.tensor(1.0))
    expected = kl_divergence(normal(mu, logvar), standard).sum(dim=-1)
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected, atol=1e-4, rtol=1e-5)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_latent_kl_is_that_of_torch_distributions(seed: int) -> None:
    mu, logvar = draw(seed, 5, 3, 4), draw(seed + 1, 5, 3, 4)
    prior = Moments(draw(seed + 2, 3, 4), draw(seed + 3, 3, 4))
    expected = kl_divergence(normal(mu, logvar), normal(*prior)).sum(dim=-1)
    torch.testing.assert_close(latent_kl(mu, logvar, prior), expected, atol=1e-3, rtol=1e-4)


def test_latent_kl_is_the_mean_log_ratio_of_a_sample() -> None:
    mu, logvar, prior = draw(0, 2), draw(1, 2), Moments(draw(2, 2), draw(3, 2))
    posterior = normal(mu, logvar)
    torch.manual_seed(0)
    z = posterior.sample((200_000,))  # type: ignore[no-untyped-call]
    log_ratio = posterior.log_prob(z) - normal(*prior).log_prob(z)  # type: ignore[no-untyped-call]
    sampled = log_ratio.sum(dim=1).mean().item()
    assert latent_kl(mu, logvar, prior).item() == pytest.approx(sampled, rel=0.02)


def test_a_sample_of_the_prior_is_standard_normal_once_standardised() -> None:
    prior = Moments(torch.tensor([3.0, -2.0]), torch.tensor([1.5, -1.0]))
    torch.manual_seed(0)
    z = normal(*prior).sample((100_000,))  # type: ignore[no-untyped-call]
    unit = standardised(z, torch.zeros_like(z), prior).mean
    torch.testing.assert_close(unit.mean(dim=0), torch.zeros(2), atol=0.02, rtol=0.0)
    torch.testing.assert_close(unit.std(dim=0), torch.ones(2), atol=0.02, rtol=0.0)


def network_with(prior: Literal["standard", "mixture", "vamp", "geometric"]) -> RcmVae:
    torch.manual_seed(0)
    return RcmVae((1, 4, 4), ModelConfig(encoder="conv", prior=prior, **SMALL), 6)  # type: ignore[arg-type]


def test_the_standard_prior_has_neither_mean_nor_parameter() -> None:
    network = network_with("standard")
    assert isinstance(network.prior, StandardPrior)
    assert not list(network.prior.parameters())
    assert not network.prior.state_dict()
    mean, logvar = network.prior_moments()
    assert mean.shape == (6, 3)
    assert not mean.any()
    assert not logvar.any()


def test_the_mixture_prior_learns_its_means() -> None:
    network = network_with("mixture")
    assert isinstance(network.prior, MixturePrior)
    mean, logvar = network.prior_moments()
    assert not logvar.any()
    mu = torch.full((6, 3), 2.0)
    latent_kl(mu, torch.zeros(6, 3), network.prior_moments()).sum().backward()  # type: ignore[no-untyped-call]
    # KL = |mu - m|^2 / 2, so its gradient is m - mu.
    torch.testing.assert_close(network.prior.mean.grad, mean.detach() - mu)


def test_the_vamp_prior_is_what_the_encoder_says_of_each_channels_own_pseudo_input() -> None:
    network = network_with("vamp")
    assert isinstance(network.prior, VampPrior)
    mean, logvar = network.prior_moments()
    for k, pseudo in enumerate(network.prior.pseudo_inputs()):
        alone = network.encode(pseudo.unsqueeze(0))
        torch.testing.assert_close(mean[k], alone.mu[0, k], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logvar[k], alone.logvar[0, k], atol=1e-5, rtol=1e-5)
    mean.sum().backward()  # type: ignore[no-untyped-call]
    assert network.prior.logits.grad is not None
    assert network.prior.logits.grad.flatten(1).any(dim=1).all(), "every channel has its own"


@pytest.mark.parametrize("count", [3, 50])
def test_pseudo_inputs_begin_at_inputs(count: int) -> None:
    prior = VampPrior((2, 2), 6)
    x = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    prior.start_from(x)
    distance = torch.cdist(prior.pseudo_inputs().flatten(1).double(), x.flatten(1).double())
    assert distance.min(dim=1).values.max().item() < 1e-5
    used = torch.unique(distance.argmin(dim=1))
    assert len(used) == 6 or count < 6


def test_a_new_state_draws_pseudo_inputs_from_the_unlabelled() -> None:
    prior = new_state(tiny_dataset(), tiny_config("model.prior=vamp")).network.prior
    assert isinstance(prior, VampPrior)
    x = torch.from_numpy(tiny_dataset().unlabelled).clamp(0.02, 0.98).flatten(1).double()
    nearest = torch.cdist(prior.pseudo_inputs().flatten(1).double(), x).min(dim=1).values
    assert nearest.max().item() < 1e-5


def test_a_circle_has_even_steps_at_one_radius() -> None:
    centres = circle(8, 5, 3.0)
    assert centres.shape == (8, 5)
    assert not centres[:, 2:].any()
    torch.testing.assert_close(centres.norm(dim=1), torch.full((8,), 3.0))
    steps = (centres - centres.roll(1, dims=0)).norm(dim=1)
    torch.testing.assert_close(steps, torch.full((8,), 2 * 3.0 * math.sin(math.pi / 8)))


@pytest.mark.parametrize("count", [1, 4, 7, 9])
def test_a_grid_has_one_spacing_around_the_origin(count: int) -> None:
    centres = grid(count, 2, 1.5)
    torch.testing.assert_close(centres.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0.0)
    if count > 1:
        distance = torch.cdist(centres, centres).fill_diagonal_(math.inf)
        torch.testing.assert_close(distance.min(dim=1).values, torch.full((count,), 1.5))


@pytest.mark.parametrize("centres", ["circle", "grid"])
def test_the_geometric_prior_is_fixed(centres: Literal["circle", "grid"]) -> None:
    config = ModelConfig(prior="geometric", centres=centres, centre_distance=2.0, latent_dim=4)
    prior = build_prior((1, 4, 4), config, 5)
    assert isinstance(prior, GeometricPrior)
    assert not list(prior.parameters())
    made = circle if centres == "circle" else grid
    mean, logvar = prior.moments(lambda _: pytest.fail("no need of the encoder"))
    assert torch.equal(mean, made(5, 4, 2.0))
    assert not logvar.any()


def test_pi_is_uniform_at_the_start_and_learnable_where_asked() -> None:
    uniform, learnable = UniformPi(5), LearnablePi(5)
    torch.testing.assert_close(uniform(), learnable())
    torch.testing.assert_close(uniform().exp(), torch.full((5,), 0.2))
    assert not list(uniform.parameters())
    assert not uniform.state_dict()
    with torch.no_grad():
        learnable.logits[0] = 3.0
    assert learnable().exp().sum().item() == pytest.approx(1.0)
    assert learnable().argmax().item() == 0
