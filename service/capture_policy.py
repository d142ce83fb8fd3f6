"""Which answered inputs are kept so that feedback can name them."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rcmvae.decision import Decision


class CapturePolicy(StrEnum):
    """What is kept of the traffic."""

    ALL = "all"
    """Every input that the rate has room for."""
    DOUBTFUL = "doubtful"
    """What is not known, what is uncertain, and a share of the rest."""


@dataclass(slots=True)
class CaptureRate:
    """How many inputs may be kept: a token bucket. Safe to use from several threads.

    To write an input to the store costs as much as to predict it, so a load would pay twice, and
    the inputs of one minute would push out those of the days before.

    Attributes:
        per_second: inputs a second in the long run.
        burst: inputs at once after a quiet time, so that whoever tries a few finds all of them.
        clock: seconds that never go back.
    """

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _room: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._room, self._at = float(self.burst), self.clock()

    def take(self, wanted: int, reserve: float = 0.0) -> int:
        """Room for at most ``wanted`` inputs.

        Args:
            wanted: inputs.
            reserve: share of the burst that is not theirs, in [0, 1).

        Returns:
            For how many of them there is room.
        """
        with self._lock:
            now = self.clock()
            self._room = min(self.burst, self._room + (now - self._at) * self.per_second)
            self._at = now
            granted = max(0, min(wanted, int(self._room - reserve * self.burst)))
            self._room -= granted
            return granted


_RESERVE = 0.5
"""Of the burst, for doubtful inputs alone: a load of known ones leaves room for the strange."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of a request's inputs are kept.

    Attributes:
        kept: their positions, ascending.
        refused: inputs that the policy would keep and the rate had no room for.
    """

    kept: tuple[int, ...]
    refused: int


@dataclass(frozen=True, slots=True)
class CaptureChoice:
    """Chooses what is kept.

    Attributes:
        policy: see there.
        uncertain: total entropy in nats from which on an input is uncertain.
        share: of the rest, in [0, 1].
        rate: bounds both.
        chance: gives numbers in [0, 1).
    """

    policy: CapturePolicy
    uncertain: float
    share: float
    rate: CaptureRate
    chance: Callable[[], float] = random.random

    def chosen(self, decisions: list[Decision], total: NDArray[np.floating]) -> Chosen:
        """Which of N inputs are kept; doubtful ones come first.

        Args:
            decisions: N.
            total: total entropy in nats, (N,).
        """
        doubtful, rest = self._sorted(decisions, total)
        kept = doubtful[: self.rate.take(len(doubtful))]
        if rest:
            kept += rest[: self.rate.take(len(rest), _RESERVE)]
        return Chosen(tuple(sorted(kept)), len(doubtful) + len(rest) - len(kept))

    def _sorted(
        self, decisions: list[Decision], total: NDArray[np.floating]
    ) -> tuple[list[int], list[int]]:
        """The positions of doubtful inputs, and of those of the rest that the policy keeps."""
        doubtful: list[int] = []
        rest: list[int] = []
        keeps_all = self.policy is CapturePolicy.ALL
        for i, (decision, entropy) in enumerate(zip(decisions, total.tolist(), strict=True)):
            if decision is not Decision.KNOWN or entropy >= self.uncertain:
                doubtful.append(i)
            elif keeps_all or self.chance() < self.share:
                rest.append(i)
        return doubtful, rest
