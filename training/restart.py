"""The safeguard against merged classes: a fit in which labels share a channel starts anew.

Two classes that come to share a channel early stay together, and nothing later parts them. The
labelled examples show it half-way through the run, without a look at any other label.
"""

import logging

import torch
from torch import Tensor

from training.config import RunConfig
from training.data import Dataset
from training.state import FitState, new_state

logger = logging.getLogger(__name__)


def merged_labels(counts: Tensor) -> list[int]:
    """Labels whose main channel holds more of another label, in order; none without an example.

    Args:
        counts: soft label counts of the labelled examples, (K, C).
    """
    main = counts.argmax(dim=0)
    owner = counts.argmax(dim=1)[main]
    seen = counts.any(dim=0).tolist()
    return [label for label, other in enumerate(owner.tolist()) if seen[label] and label != other]


def is_time_to_look(state: FitState, config: RunConfig) -> bool:
    """Whether the fit is as far as ``fit.restart_at`` says."""
    return state.epoch == max(1, round(config.fit.restart_at * config.fit.epochs))


def is_stuck(state: FitState, config: RunConfig) -> bool:
    """Whether this is the moment to look, a restart is left, and labels share a channel."""
    is_left = state.attempt < config.fit.restarts
    return is_time_to_look(state, config) and is_left and bool(merged_labels(state.counts))


def start_anew(state: FitState, dataset: Dataset, config: RunConfig) -> None:
    """Put a new start, with other weights and other batches, in the place of the state."""
    names = [dataset.labels[label] for label in merged_labels(state.counts)]
    state.attempt += 1
    logger.warning(
        "labels %s have no channel of their own after %d epochs: restart %d of %d",
        names,
        state.epoch,
        state.attempt,
        config.fit.restarts,
    )
    fresh = new_state(dataset, config, state.attempt)
    state.network.load_state_dict(fresh.network.state_dict())
    if state.average is not None and fresh.average is not None:
        state.average.load_state_dict(fresh.average.state_dict())
    state.optimizer.load_state_dict(fresh.optimizer.state_dict())
    state.counts, state.usage = torch.zeros_like(state.counts), torch.zeros_like(state.usage)
    state.epoch, state.history = 0, []
