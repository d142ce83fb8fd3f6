"""The optional terms against closed forms, samples and independent libraries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import dirichlet, entropy
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from training.terms.channel_prior import channel_kl, dirichlet_penalty
from training.terms.contrastive import mean_latent, supervised_contrastive
from training.terms.discrepancy import discrepancy
from training.terms.peakiness import logit_mixture_nll
from training.terms.repulsion import repulsion
from training.terms.term import Term, combine
from training.terms.variance import variance_penalty

SEEDS = st.integers(0, 2**31)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_loss_is_the_weighted_sum_in_which_rewards_are_negative() -> None:
    values = torch.tensor([1.0, 10.0, 100.0], requires_grad=True)
    weights = (2.0, -3.0, 0.5)
    terms = [Term(str(w), v, w) for v, w in zip(values, weights, strict=True)]
    loss = combine(terms)
    assert loss.item() == pytest.approx(2.0 - 30.0 + 50.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx(weights)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_channel_kl_is_that_of_scipy(seed: int) -> None:
    r, pi = (2 * draw(seed, 7, 5)).softmax(dim=1), draw(seed + 1, 5).softmax(dim=0)
    expected = entropy(r.double().numpy(), pi.double().numpy()[None], axis=1).mean()
    assert channel_kl(r, pi.log()).item() == pytest.approx(float(expected), abs=1e-5)


def test_channel_kl_of_a_closed_channel_is_finite() -> None:
    r = torch.tensor([[1.0, 0.0]], requires_grad=True)
    kl = channel_kl(r, torch.tensor([0.5, 0.5]).log())
    assert kl.item() == pytest.approx(math.log(2.0), abs=1e-6)
    kl.backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert r.grad.isfinite().all()


def test_the_dirichlet_penalty_is_minus_the_log_density_up_to_a_constant() -> None:
    weight = 1.5
    points = [np.array(p) for p in ([0.2, 0.3, 0.5], [0.1, 0.1, 0.8])]
    exact = [-float(dirichlet.logpdf(p, np.full(3, 1.0 + weight))) for p in points]
    ours = [weight * dirichlet_penalty(torch.tensor(p).log()).item() for p in points]
    assert ours[0] - ours[1] == pytest.approx(exact[0] - exact[1])


def test_the_dirichlet_penalty_keeps_pi_from_zero() -> None:
    """Against data that use one channel of two, pi settles at the MAP (1 + w) / (1 + 2 w)."""
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=0.5)
    r, weight = torch.tensor([[1.0, 0.0]]), 0.1
    for _ in range(500):
        log_pi = logits.log_softmax(dim=0)
        loss = channel_kl(r, log_pi) + weight * dirichlet_penalty(log_pi)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert logits.softmax(dim=0)[0].item() == pytest.approx(1.1 / 1.2, abs=1e-3)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_repulsion_is_the_mean_kernel_over_pairs(seed: int) -> None:
    embedding = draw(seed, 6, 4)
    expected = np.exp(-(pdist(embedding.double().numpy()) ** 2) / 8.0).mean()
    assert repulsion(embedding).item() == pytest.approx(float(expected), rel=1e-4)


def test_repulsion_is_one_where_all_are_equal_and_drives_pairs_apart() -> None:
    assert repulsion(torch.ones(4, 3)).item() == pytest.approx(1.0)
    assert repulsion(torch.ones(1, 3)).item() == 0.0
    pair = torch.tensor([[0.0], [1.0]], requires_grad=True)
    repulsion(pair).backward()  # type: ignore[no-untyped-call]
    assert pair.grad is not None
    assert pair.grad[0].item() > 0 > pair.grad[1].item()


@given(SEEDS, st.floats(0.1, 8.0))
@settings(max_examples=20, deadline=None)
def test_peakiness_is_the_density_of_a_mixture_of_gaussians(seed: int, peak: float) -> None:
    logits = 3 * draw(seed, 7, 5).double()
    corners = Independent(Normal(peak * torch.eye(5).double(), 1.0), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(5).double()), corners)
    expected = -mixture.log_prob(logits).mean()  # type: ignore[no-untyped-call]
    assert logit_mixture_nll(logits, peak).item() == pytest.approx(expected.item(), rel=1e-6)


def brute_contrastive(latent: Tensor, label: list[int], temperature: float) -> float:
    """Equation 2 of Khosla et al., sum by sum."""
    unit = (latent / latent.norm(dim=1, keepdim=True)).double().numpy()
    losses = []
    for i, own in enumerate(label):
        others = [a for a in range(len(label)) if a != i]
        positives = [p for p in others if label[p] == own]
        if positives:
            bottom = sum(math.exp(float(unit[i] @ unit[a]) / temperature) for a in others)
            tops = [math.exp(float(unit[i] @ unit[p]) / temperature) for p in positives]
            losses.append(-sum(math.log(top / bottom) for top in tops) / len(positives))
    return sum(losses) / len(losses)


@given(SEEDS, st.sampled_from([0.1, 0.5, 2.0]))
@settings(max_examples=20, deadline=None)
def test_contrastive_loss_is_the_sum_of_the_paper(seed: int, temperature: float) -> None:
    latent, label = draw(seed, 7, 3), [0, 1, 0, 2, 1, 0, 3]
    actual = supervised_contrastive(latent, torch.tensor(label), temperature).item()
    assert actual == pytest.approx(brute_contrastive(latent, label, temperature), rel=1e-4)


def test_contrastive_loss_has_a_gradient_and_is_zero_without_pairs() -> None:
    latent = draw(0, 4, 3).requires_grad_()
    supervised_contrastive(latent, torch.tensor([0, 0, 1, 1]), 0.1).backward()  # type: ignore[no-untyped-call]
    assert latent.grad is not None
    assert latent.grad.isfinite().all()
    assert latent.grad.any()
    alone = supervised_contrastive(latent, torch.tensor([0, 1, 2, 3]), 0.1)
    assert alone.item() == 0.0


def test_mean_latent_by_hand() -> None:
    r = torch.tensor([[0.25, 0.75]])
    mu = torch.tensor([[[4.0, 0.0], [0.0, 8.0]]])
    torch.testing.assert_close(mean_latent(r, mu), torch.tensor([[1.0, 6.0]]))


def test_variance_penalty_is_zero_from_unit_variance_on_and_one_at_none() -> None:
    wide = torch.tensor([[-1.0, -5.0], [1.0, 5.0]])
    assert variance_penalty(wide).item() == 0.0
    assert variance_penalty(torch.ones(5, 3)).item() == pytest.approx(0.99)
    half = torch.tensor([[-0.5, -1.0], [0.5, 1.0]]) / math.sqrt(2)
    # Unbiased deviations 0.5 and 1: mean of 0.5 and 0.
    assert variance_penalty(half).item() == pytest.approx(0.25, abs=1e-3)


def sampled_discrepancy(z: Tensor, prior: Tensor) -> float:
    """The estimator over two samples, with the same kernel."""
    h = 2.0 * z.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(a, b).square() / (2 * h))

    n, m = len(z), len(prior)
    within = (kernel(z, z).sum() - n) / (n * (n - 1))
    of_prior = (kernel(prior, prior).sum() - m) / (m * (m - 1))
    return float(within - 2 * kernel(z, prior).mean() + of_prior)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.2), (-2.0, 3.0)])
def test_discrepancy_is_that_to_a_large_sample_of_the_prior(shift: float, scale: float) -> None:
    z = shift + scale * draw(0, 300, 3)
    expected = sampled_discrepancy(z, draw(1, 4000, 3))
    assert discrepancy(z).item() == pytest.approx(expected, abs=3e-3)


def test_discrepancy_is_near_zero_for_the_prior_itself_and_pulls_towards_it() -> None:
    assert abs(discrepancy(draw(0, 2000, 4)).item()) < 2e-3
    z = (draw(1, 50, 2) + 2.0).requires_grad_()
    far = discrepancy(z)
    assert far.item() > 0.1
    far.backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert (z.grad.mean(dim=0) > 0).all(), "down the gradient is towards the origin"
