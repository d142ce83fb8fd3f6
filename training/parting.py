"""The last safeguard against merged classes: a channel that two labels share is parted in two.

Where every start merges the same classes (training/restart.py), another one will too. A channel
that nobody uses becomes a copy of the shared one, but for its logit, which tells the labelled
examples of the two labels apart. What follows is learned as ever.
"""

import logging

import torch
from torch import Tensor, nn

from training.config import RunConfig
from training.data import Dataset, Examples
from training.model.encoder import Encoder
from training.model.layout import DecentralizedLayout
from training.model.network import RcmVae
from training.restart import is_time_to_look, merged_labels
from training.state import FitState

logger = logging.getLogger(__name__)

MARGIN = 5.0
"""By how much the logits of both channels differ at the mean features of either label, in nats."""


def is_to_part(state: FitState, config: RunConfig) -> bool:
    """Whether this is the moment to look, no restart is left, and labels share a channel."""
    is_last = state.attempt >= config.fit.restarts
    return is_time_to_look(state, config) and is_last and bool(merged_labels(state.counts))


def part_labels(state: FitState, dataset: Dataset) -> None:
    """Give every label without a channel of its own the least used channel that no label has."""
    for label in merged_labels(state.counts):
        shared = int(state.counts[:, label].argmax())
        owner = int(state.counts[shared].argmax())
        free = _free_channel(state)
        if free is None:
            logger.warning("label %s keeps no channel: none is free", dataset.labels[label])
            return
        logger.warning(
            "labels %s and %s share channel %d in every start: %s gets channel %d",
            dataset.labels[owner],
            dataset.labels[label],
            shared,
            dataset.labels[label],
            free,
        )
        for network in dict.fromkeys((state.network, state.served)):
            _part(network, dataset.labelled, (owner, label), (shared, free))
        _part_counts(state.counts, label, shared, free)
        state.usage[[shared, free]] = 0.5 * state.usage[shared]


def _part_counts(counts: Tensor, label: int, shared: int, free: int) -> None:
    """The label's counts go to the free channel, all others of both to the shared one."""
    both = counts[shared] + counts[free]
    counts[free] = 0.0
    counts[free, label] = both[label]
    both[label] = 0.0
    counts[shared] = both


def _free_channel(state: FitState) -> int | None:
    """The least used of the channels that lead for no label."""
    taken = set(state.counts.argmax(dim=0).tolist())
    return next((c for c in state.usage.argsort().tolist() if c not in taken), None)


@torch.no_grad()
def _part(
    network: RcmVae, labelled: Examples, labels: tuple[int, int], channels: tuple[int, int]
) -> None:
    """Copy the first channel to the second, with a logit that is larger for the second label.

    Args:
        network: to change.
        labelled: examples of both labels among others.
        labels: that stays, and that goes.
        channels: that both share, and the free one.
    """
    means = [_mean_features(network, labelled, label) for label in labels]
    shared, free = channels
    _copy_channel(network, shared, free)
    # Linear in the features, 0 half-way between the means and MARGIN at the second one.
    way = means[1] - means[0]
    slope = 2.0 * MARGIN * way / way.square().sum().clamp_min(1e-12)
    head = network.encoder.channel_head
    head.weight[free] += slope
    head.bias[free] -= slope @ (0.5 * (means[0] + means[1]))


def _mean_features(network: RcmVae, labelled: Examples, label: int) -> Tensor:
    device = network.encoder.channel_head.weight.device
    x = torch.from_numpy(labelled.x[labelled.y == label]).to(device)
    return network.look(x)[0].mean(dim=0).float()


def _copy_channel(network: RcmVae, source: int, target: int) -> None:
    """All that the encoder's heads and the decoder have of one channel alone."""
    encoder: Encoder = network.encoder
    heads: list[nn.Linear] = [encoder.channel_head]
    if isinstance(network.layout, DecentralizedLayout):
        heads += [encoder.mu_head, encoder.logvar_head]
    for head in heads:
        for values in (head.weight, head.bias):
            rows = values.view(network.num_channels, -1)
            rows[target] = rows[source]
    embedding = network.decoder.channel_embedding.weight
    embedding[target] = embedding[source]
