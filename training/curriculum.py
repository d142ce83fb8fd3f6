"""The channel curriculum: channels open as the reconstruction stalls, with a warm kick.

Which channels are open follows from the losses of the epochs before, so that a resumed run needs no
more state than its history.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from training.objective_config import CurriculumConfig

CLOSED = -1e4
"""Added to a closed channel's logit: its responsibility is exactly zero, and nothing is NaN."""


def opening_epochs(
    losses: Sequence[float], num_channels: int, epochs: int, config: CurriculumConfig
) -> list[int]:
    """The epoch in which each open channel was opened, channel 0 first.

    Args:
        losses: reconstruction of every epoch done; the next one is epoch ``len(losses)``.
        num_channels: K.
        epochs: of the whole run.
        config: when to open how many.
    """
    opened = [0] * min(num_channels, config.start or num_channels)
    best, waited = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        progressed = best == math.inf or loss < best - config.tolerance * abs(best)
        waited = 0 if progressed else waited + 1
        best = min(best, loss)
        if epoch >= config.end * epochs:
            opened += [epoch] * (num_channels - len(opened))
        elif waited >= config.patience:
            opened += [epoch] * min(config.step, num_channels - len(opened))
            waited = 0
    return opened


def logit_bias(
    losses: Sequence[float], num_channels: int, epochs: int, config: CurriculumConfig
) -> Tensor:
    """What to add to the logits in the next epoch, (K,): CLOSED, a fading kick, or zero."""
    opened = opening_epochs(losses, num_channels, epochs, config)
    kicks = [_kick(len(losses) - epoch, config) if epoch else 0.0 for epoch in opened]
    return torch.tensor(kicks + [CLOSED] * (num_channels - len(opened)))


def _kick(age: int, config: CurriculumConfig) -> float:
    return config.kick * max(0.0, 1.0 - age / config.kick_epochs)
