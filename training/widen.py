"""More channels for a fitted network: a new label that finds none free gets one of its own.

What the network has of its channels stays, row by row. A new channel is a copy of the one that most
of the label's examples fall into, but for its logit: that of the copied channel, and what tells the
label's examples from the inputs that the channel has now, which is linear in the features.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import Dataset
from training.encode import softmax
from training.model.network import RcmVae
from training.parting import MARGIN

logger = logging.getLogger(__name__)

STREAM_INPUTS = 4000
"""Unlabelled inputs that say where a new channel may begin."""

CROSSING = 0.01
"""Share of the inputs of other labels that may fall into a new channel before any training."""

_HEAD = "encoder.channel_head.weight", "encoder.channel_head.bias"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a network says of n inputs, in float64.

    Attributes:
        features: (n, F).
        logits: of the channels, (n, K).
    """

    features: NDArray[np.float64]
    logits: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> "Looked":
        """Of the chosen inputs alone; ``chosen`` is (n,)."""
        return Looked(self.features[chosen], self.logits[chosen])


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be.

    Attributes:
        source: the channel that it is a copy of.
        slope: what its logit has more than the source's, in nats for a unit of each feature, (F,).
        offset: what it has more where all features are zero, in nats.
    """

    source: int
    slope: NDArray[np.float64]
    offset: float

    def attracts(self, inputs: Looked) -> NDArray[np.bool_]:
        """Which inputs have their largest logit at the new channel, (n,)."""
        above = inputs.features @ self.slope + self.offset
        return np.asarray(above > inputs.logits.max(axis=1) - inputs.logits[:, self.source])


@torch.no_grad()
def look(network: RcmVae, x: NDArray[np.float32]) -> Looked:
    """What the network says of inputs, (n, *shape)."""
    features, logits = network.eval().look(torch.from_numpy(x))
    return Looked(features.double().numpy(), logits.double().numpy())


def plan_channels(
    network: RcmVae, dataset: Dataset, labels: Sequence[str]
) -> tuple[NewChannel, ...]:
    """A channel for each of some labels, in their order.

    Args:
        network: as it was fitted.
        dataset: with labelled examples of each.
        labels: that found no channel free.
    """
    stream = look(network, dataset.unlabelled[:STREAM_INPUTS])
    known = look(network, dataset.labelled.x)
    planned = []
    for label in labels:
        own = dataset.labelled.y == dataset.labels.index(label)
        others = stream.part(~_nearest_to(own, known, stream))
        channel = plan_channel(known.part(own), others if len(others.logits) else stream)
        logger.info("label %r gets a channel, made out of channel %d", label, channel.source)
        planned.append(channel)
    return tuple(planned)


def _nearest_to(own: NDArray[np.bool_], known: Looked, stream: Looked) -> NDArray[np.bool_]:
    """Which inputs of the stream are most like a labelled one of ``own``, by the features, (n,).

    The stream may hold the label that is new. Held back like the others, none of its inputs would
    reach its channel.
    """
    squares = (known.features**2).sum(axis=1)
    nearest = (squares - 2.0 * stream.features @ known.features.T).argmin(axis=1)
    return np.asarray(own[nearest])


def plan_channel(examples: Looked, others: Looked) -> NewChannel:
    """A channel for examples of one label, into which hardly any other input falls.

    Its boundary with the copied channel lies across the way between the means of the examples and
    of what else that channel has: half-way, or farther, until at most CROSSING of the others, of
    whatever channel, are beyond it.

    Args:
        examples: of the label, at least one.
        others: inputs of other labels, at least one.
    """
    source = int(softmax(examples.logits).mean(axis=0).argmax())
    mean = examples.features.mean(axis=0)
    inside = others.logits.argmax(axis=1) == source
    rest = others.part(inside) if inside.any() else others
    way = mean - rest.features.mean(axis=0)
    slope = 2.0 * MARGIN * way / max(float(way @ way), 1e-12)
    # An input falls into the new channel where its features @ slope + offset exceeds the gap.
    gap = others.logits.max(axis=1) - others.logits[:, source]
    reach = np.quantile(others.features @ slope - gap, 1.0 - CROSSING, method="higher")
    half_way = slope @ (mean - 0.5 * way)
    return NewChannel(source, slope, -float(max(reach, half_way)))


def widened(
    old: Mapping[str, Tensor], wide: Mapping[str, Tensor], channels: Sequence[NewChannel]
) -> dict[str, Tensor]:
    """The weights of a network with more channels.

    Args:
        old: of the fitted network.
        wide: of a network that differs in its channels alone, for the shapes.
        channels: that come after the old ones.
    """
    count = len(old[_HEAD[1]])
    sources = [channel.source for channel in channels]
    weights = dict(old)
    for name, target in wide.items():
        # Whatever depends on the channels has them first; heads of latents have d rows of each.
        if target.shape != old[name].shape:
            rows = old[name].reshape(count, -1)
            weights[name] = torch.cat([rows, rows[sources]]).reshape(target.shape)
    for place, channel in enumerate(channels, start=count):
        weights[_HEAD[0]][place] += torch.from_numpy(channel.slope).to(old[_HEAD[0]])
        weights[_HEAD[1]][place] += channel.offset
    return weights
