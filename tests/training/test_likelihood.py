"""Likelihoods against torch.distributions, by hand, and within their bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from rcmvae.ood import SMALLEST_SIGMA
from training.model.likelihood import (
    LARGEST_SIGMA,
    BernoulliLikelihood,
    Decoded,
    GaussianLikelihood,
    Likelihood,
    bernoulli_nll,
    gaussian_nll,
)

SEEDS = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_bernoulli_nll_of_binary_inputs_is_the_log_probability() -> None:
    logits = draw(0, 4, 3, 1, 2, 5)
    x = (draw(1, 4, 1, 2, 5) > 0).float()
    images = Independent(Bernoulli(logits=logits), 3)
    expected = -images.log_prob(x.unsqueeze(1))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(bernoulli_nll(logits, x), expected)


def test_bernoulli_nll_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)]]])
    x = torch.tensor([[0.25, 0.5]])
    # p = 1/2 and 3/4: log 2, and the mean of -log 3/4 and -log 1/4.
    expected = math.log(2.0) - 0.5 * (math.log(0.75) + math.log(0.25))
    assert bernoulli_nll(logits, x).item() == pytest.approx(expected, abs=1e-6)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_gaussian_nll_is_the_log_density(seed: int) -> None:
    mean, sigma = draw(seed, 4, 3, 1, 2, 5), 0.05 + draw(seed + 1, 4, 3, 1, 2, 5).sigmoid()
    x = draw(seed + 2, 4, 1, 2, 5)
    images = Independent(Normal(mean, sigma), 3)
    expected = -images.log_prob(x.unsqueeze(1))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(gaussian_nll(mean, sigma, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spread_shape", [(1, 2, 5), (1, 1, 1)], ids=["pixel", "image"])
def test_sigma_stays_within_its_bounds_and_keeps_a_gradient(
    spread_shape: tuple[int, ...],
) -> None:
    spread = (8 * draw(0, 6, *spread_shape)).requires_grad_()
    sigma = GaussianLikelihood().sigma(Decoded(draw(1, 6, 1, 2, 5), spread))
    assert sigma.shape == (6, 1, 2, 5)
    assert sigma.min().item() >= SMALLEST_SIGMA
    assert sigma.max().item() <= LARGEST_SIGMA
    middle = GaussianLikelihood().sigma(Decoded(torch.zeros(1, 1), torch.zeros(1, 1)))
    assert middle.item() == pytest.approx((SMALLEST_SIGMA + LARGEST_SIGMA) / 2)
    sigma.sum().backward()  # type: ignore[no-untyped-call]
    assert spread.grad is not None
    assert (spread.grad > 0).all()


def test_no_gaussian_nll_is_below_the_least_that_sigma_allows() -> None:
    logits = draw(0, 3, 4)
    decoded = Decoded(logits.unsqueeze(1), torch.full((3, 1, 1), -100.0))
    perfect = GaussianLikelihood().nll(decoded, logits.sigmoid())
    least = 4 * math.log(SMALLEST_SIGMA * math.sqrt(2 * math.pi))
    torch.testing.assert_close(perfect, torch.full((3, 1), least))
    assert (GaussianLikelihood().nll(decoded, logits.sigmoid() + 0.1) > least).all()


def test_rows_go_back_under_their_channels() -> None:
    decoded = Decoded(torch.arange(12.0).view(6, 2), torch.arange(6.0).view(6, 1)).by_channel(3)
    assert decoded.spread is not None
    assert decoded.logits[1, 2].tolist() == [10.0, 11.0]
    assert decoded.spread[1].flatten().tolist() == [3.0, 4.0, 5.0]
    assert Decoded(torch.zeros(6, 2), None).by_channel(2).spread is None


def test_bernoulli_has_no_sigma_and_gaussian_needs_a_spread() -> None:
    decoded = Decoded(torch.zeros(2, 1, 4), None)
    bernoulli: Likelihood = BernoulliLikelihood()
    assert bernoulli.sigma(decoded) is None
    x = torch.ones(2, 4)
    torch.testing.assert_close(bernoulli.nll(decoded, x), torch.full((2, 1), 4 * math.log(2.0)))
    with pytest.raises(ValueError, match="spread"):
        GaussianLikelihood().sigma(decoded)
