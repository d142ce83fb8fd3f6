"""More channels for a network that has been fitted: where a new label finds none that is free.

What the parent has of its channels stays, row by row. A channel for a new label becomes a copy of
the one that most of the label's examples fall into, but for its logit, which tells the two apart;
one more beside each stays as it was drawn, free for the label after that.
"""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from rcmvae.bundle.manifest import WEIGHTS
from rcmvae.errors import BundleDamaged
from training.model.network import RcmVae
from training.parting import part_channel

logger = logging.getLogger(__name__)

CHANNELS_PER_LABEL = 2


def widened(old: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network in those of one with more channels.

    Whatever depends on the channels has them first, so the old rows come first.

    Args:
        old: of the fitted network.
        fresh: of the wider one, as it was drawn.

    Raises:
        BundleDamaged: they are not of one network but for the channels.
    """
    if old.keys() != fresh.keys():
        raise _misfit(min(old.keys() ^ fresh.keys()))
    return {name: _rows(name, old[name], fresh[name]) for name in fresh}


def _rows(name: str, old: Tensor, fresh: Tensor) -> Tensor:
    if old.shape == fresh.shape:
        return old
    if old.ndim == 0 or old.shape[1:] != fresh.shape[1:] or len(old) > len(fresh):
        raise _misfit(name)
    return torch.cat([old, fresh[len(old) :].to(old.dtype)])


def _misfit(name: str) -> BundleDamaged:
    return BundleDamaged("weights", WEIGHTS, f"weights do not fit: {name}")


@torch.no_grad()
def seed_channel(network: RcmVae, x: Tensor, stream: Tensor, target: int) -> None:
    """Make a channel for inputs x, (n, *shape), out of the one that most of them fall into.

    Args:
        network: to change.
        x: examples of a new label.
        stream: inputs of all kinds, (m, *shape).
        target: the channel to be.
    """
    features, logits = network.eval().look(x)
    usage = logits[:, :target].softmax(dim=1).mean(dim=0)
    source = int(usage.argmax())
    around, other = network.look(stream)
    own = other[:, :target].argmax(dim=1) == source
    rest = around[own].mean(dim=0) if own.any() else around.mean(dim=0)
    logger.info("channel %d is made out of channel %d", target, source)
    part_channel(network, (rest, features.mean(dim=0)), (source, target))
