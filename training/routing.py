"""Routing in training: over which channels an input's losses are weighed, and how."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.objective_config import ObjectiveConfig


class Routing(NamedTuple):
    """M channels of every input.

    Attributes:
        channel: their indices, (B, M) int64.
        weight: their shares, which sum to one, (B, M).
    """

    channel: Tensor
    weight: Tensor


def top_channels(responsibilities: Tensor, count: int) -> Routing:
    """The ``count`` most responsible channels of r (B, K), renormalised on that set."""
    top = responsibilities.topk(min(count, responsibilities.shape[1]), dim=1)
    return Routing(top.indices, top.values / top.values.sum(dim=1, keepdim=True))


def gumbel_sample(logits: Tensor, temperature: float) -> Tensor:
    """A relaxed one-hot sample (B, K) of the channel (Jang et al. 2017, Maddison et al. 2017).

    Its largest entry is at channel k with probability softmax(logits)_k, at any temperature.
    """
    noise = -torch.empty_like(logits).exponential_().log()
    return F.softmax((logits + noise) / temperature, dim=1)


def straight_through(routing: Routing) -> Routing:
    """All weight on the first channel going forward; the gradient is that of the soft weights.

    Args:
        routing: channels in descending order of weight.
    """
    hard = torch.zeros_like(routing.weight)
    hard[:, 0] = 1.0
    return Routing(routing.channel, hard - routing.weight.detach() + routing.weight)


def route(
    logits: Tensor, responsibilities: Tensor, progress: float, config: ObjectiveConfig
) -> Routing:
    """Route inputs as the configuration says.

    Args:
        logits: (B, K).
        responsibilities: their softmax, (B, K).
        progress: of the run, in [0, 1].
        config: kind of routing, temperatures and M.
    """
    if config.routing == "expectation":
        return top_channels(responsibilities, config.top_channels)
    start, end = config.gumbel_temperature
    sample = gumbel_sample(logits, start + progress * (end - start))
    routing = top_channels(sample, config.top_channels)
    return straight_through(routing) if config.routing == "gumbel_st" else routing
