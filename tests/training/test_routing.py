"""Routing: the largest channels, and what a sampled channel has for moments and gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.objective_config import ObjectiveConfig
from training.routing import Routing, gumbel_sample, route, straight_through, top_channels

CHANNELS = 6


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 2**31), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_top_channels_are_the_largest_renormalised(seed: int, count: int) -> None:
    r = (2 * draw(seed, 7, CHANNELS)).softmax(dim=1)
    routing = top_channels(r, count)
    assert routing.channel.shape == routing.weight.shape == (7, min(count, CHANNELS))
    torch.testing.assert_close(routing.weight.sum(dim=1), torch.ones(7))
    for row, channels, weights in zip(r.numpy(), routing.channel, routing.weight, strict=True):
        best = np.sort(row)[::-1][: min(count, CHANNELS)]
        np.testing.assert_allclose(row[channels.numpy()], best)
        np.testing.assert_allclose(weights.numpy(), best / best.sum(), rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_a_channel_wins_the_sample_as_often_as_its_responsibility_says(temperature: float) -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0])
    torch.manual_seed(0)
    sample = gumbel_sample(logits.expand(40_000, -1), temperature)
    torch.testing.assert_close(sample.sum(dim=1), torch.ones(40_000))
    wins = sample.argmax(dim=1).bincount(minlength=4) / 40_000
    torch.testing.assert_close(wins, logits.softmax(dim=0), atol=0.01, rtol=0.0)


def test_a_cold_sample_is_nearly_one_hot_and_a_hot_one_nearly_even() -> None:
    logits = draw(0, 500, CHANNELS)
    torch.manual_seed(0)
    assert gumbel_sample(logits, 0.01).max(dim=1).values.mean().item() > 0.95
    assert gumbel_sample(logits, 100.0).max(dim=1).values.mean().item() < 0.2


def test_straight_through_is_hard_forward_and_soft_backward() -> None:
    logits = draw(0, 3, 4).requires_grad_()
    soft = top_channels(logits.softmax(dim=1), 4)
    hard = straight_through(Routing(soft.channel, soft.weight))
    torch.testing.assert_close(hard.weight, torch.eye(4)[:1].expand(3, -1), atol=1e-6, rtol=0.0)
    losses = draw(1, 3, 4)
    (of_hard,) = torch.autograd.grad((hard.weight * losses).sum(), logits, retain_graph=True)
    (of_soft,) = torch.autograd.grad((soft.weight * losses).sum(), logits)
    torch.testing.assert_close(of_hard, of_soft)
    assert of_hard.abs().sum() > 0


def test_the_expectation_draws_no_random_number() -> None:
    logits = draw(0, 3, CHANNELS)
    r = logits.softmax(dim=1)
    before = torch.random.get_rng_state()
    routing = route(logits, r, 0.5, ObjectiveConfig(top_channels=2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(routing.channel, top_channels(r, 2).channel)


def test_the_temperature_falls_along_the_run() -> None:
    config = ObjectiveConfig(routing="gumbel", gumbel_temperature=(50.0, 0.01), top_channels=6)
    logits = draw(0, 200, CHANNELS)
    peaks = []
    for progress in (0.0, 1.0):
        torch.manual_seed(0)
        weight = route(logits, logits.softmax(dim=1), progress, config).weight
        torch.testing.assert_close(weight.sum(dim=1), torch.ones(200))
        peaks.append(weight[:, 0].mean().item())
    assert peaks[0] < 0.25
    assert peaks[1] > 0.95


def test_straight_through_routing_is_chosen_by_name() -> None:
    config = ObjectiveConfig(routing="gumbel_st", top_channels=3)
    logits = draw(0, 5, CHANNELS)
    torch.manual_seed(0)
    weight = route(logits, logits.softmax(dim=1), 0.0, config).weight
    torch.testing.assert_close(weight, torch.eye(3)[:1].expand(5, -1), atol=1e-6, rtol=0.0)
