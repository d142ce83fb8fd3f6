"""A moving average of the weights: what names the targets, and what is served.

Tarvainen and Valpola 2017 (mean teacher). The weights wander from step to step, the more the higher
the learning rate; their average is a steadier judge, and needs no lower learning rate to settle.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from training.model.network import RcmVae

EARLY = 10
"""The average follows the weights the faster, the fewer steps it has seen."""


def average_of(network: RcmVae, decay: float) -> AveragedModel:
    """An average that begins at the network's present weights.

    Args:
        network: to follow.
        decay: share of the average that one step keeps, in [0, 1), once it has seen many.
    """
    average = AveragedModel(network, multi_avg_fn=_moved_by(decay))
    average.requires_grad_(False)
    return average


def decay_at(steps: int, decay: float) -> float:
    """Share that the average keeps after so many steps: rising from 1 / EARLY up to ``decay``."""
    return min(decay, (1.0 + steps) / (EARLY + steps))


def _moved_by(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    return partial(_move, decay)


@torch.no_grad()
def _move(
    decay: float, average: Sequence[Tensor], weights: Sequence[Tensor], steps: Tensor | int
) -> None:
    share = 1.0 - decay_at(int(steps), decay)
    torch._foreach_lerp_(list(average), list(weights), share)
