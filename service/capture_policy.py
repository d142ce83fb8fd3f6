"""Which answered inputs are kept so that feedback can name them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rcmvae.decision import Decision


class CapturePolicy(StrEnum):
    """What is kept of the traffic."""

    ALL = "all"
    """Every input."""
    DOUBTFUL = "doubtful"
    """What is not known, what is uncertain, and a share of the rest."""


@dataclass(frozen=True, slots=True)
class CaptureChoice:
    """Chooses what is kept.

    Attributes:
        policy: see there.
        uncertain: total entropy in nats from which on an input is uncertain.
        share: of the rest, in [0, 1].
        chance: gives numbers in [0, 1).
    """

    policy: CapturePolicy
    uncertain: float
    share: float
    chance: Callable[[], float] = random.random

    def chosen(self, decisions: list[Decision], total: NDArray[np.floating]) -> list[bool]:
        """Whether each of N inputs is kept.

        Args:
            decisions: N.
            total: total entropy in nats, (N,).
        """
        if self.policy is CapturePolicy.ALL:
            return [True] * len(decisions)
        return [
            decision is not Decision.KNOWN
            or entropy >= self.uncertain
            or self.chance() < self.share
            for decision, entropy in zip(decisions, total.tolist(), strict=True)
        ]
