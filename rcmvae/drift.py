"""Has the traffic drifted from the calibration sample? A sequential test on its p-values.

Drift here means that more inputs are strange than the calibration sample lets expect: p-values
pile up near zero. A bet wins when an input's rank is among the strangest and loses a little when
it is not; what all bets have won since every possible start of a drift is added up (the e-detector
of Shin, Ramdas and Rinaldo 2023, whose oldest form is the statistic of Shiryaev and Roberts).
Where that sum passes A there is an alarm, and the sum starts again at zero. Without drift there is
on average at most one alarm in A inputs, however the traffic is divided among detectors.

All p-values are ranks in one calibration sample, so they depend on each other through it, and a
martingale that takes them for uniform grows without drift: it bets on the accidents of the sample.
So every bet is priced by what the sample can be off by: with probability 1 - MISS over its draw no
bet has a positive expectation, for all traffic to come. docs/decisions/0010-drift.md has what that
costs, and what the alternatives do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

MISS = 0.025
"""Chance over the draw of one calibration sample that its detector keeps no bound."""

LEVELS = (0.0, 0.01, 0.05, 0.2)
"""Bets are on p-values at most so high; of 0 on the lowest possible, 1 / (n + 1)."""

MISS_SHARES = (10 / 16, 4 / 16, 1 / 16, 1 / 16)
"""How MISS is divided among the levels. The price of a low level depends on its part most: with 240
inputs that of the lowest p-value is 1.7 % so and 2.1 % with equal parts; that of 20 % hardly moves.
"""

STAKES = (0.03, 0.1, 0.3, 0.7)
"""Share of what a bet has that it puts on the next input: the excess of strange inputs, about."""

RUN_LENGTH = 1_000_000.0
"""The usual A."""

_SEGMENT = 64
"""Inputs whose factors are multiplied at once: their product stays within float64."""


@dataclass(frozen=True, slots=True)
class Bets:
    """The bets that a calibration sample of one size allows.

    Attributes:
        size: n, of the calibration sample.
        factors: what each of J bets is multiplied by when a p-value is i / (n + 1), float64
            (n + 2, J) by i, positive; no p-value has i = 0.
    """

    size: int
    factors: NDArray[np.float64]

    @property
    def count(self) -> int:
        """J."""
        return int(self.factors.shape[1])


@dataclass(frozen=True, slots=True)
class DriftState:
    """What one detector knows; replaced, never changed.

    Attributes:
        sums: of every bet over all starts since the last alarm, float64 (J,).
        inputs: seen in all.
        alarms: raised in all.
        since_alarm: inputs seen since the last alarm; None before the first.
    """

    sums: NDArray[np.float64]
    inputs: int = 0
    alarms: int = 0
    since_alarm: int | None = None

    @property
    def evidence(self) -> float:
        """Mean of the sums: without drift at most the inputs since the last alarm, on average."""
        return float(self.sums.mean())

    def signals(self, window: int) -> bool:
        """Whether an alarm lies within the last ``window`` inputs."""
        return self.since_alarm is not None and self.since_alarm < window


def bets_for(size: int) -> Bets:
    """The bets for a calibration sample of ``size`` > 0 inputs.

    A bet on ranks up to i multiplies by 1 - w + w / c where it wins and by 1 - w where it loses,
    with stake w and price c. Given the sample, the chance of a rank up to i is at most the i-th
    smallest of n uniform numbers, which is Beta(i, n + 1 - i) (Vovk 2012), less where scores tie.
    The price is its quantile at 1 - MISS times the level's share of it: by the union bound all
    prices hold together with probability 1 - MISS (Bates et al. 2023 do the same for all ranks at
    once).
    """
    # Few inputs give several levels the same rank, which then has all their shares.
    shares: dict[int, float] = {}
    for level, share in zip(LEVELS, MISS_SHARES, strict=True):
        rank = max(1, int(level * (size + 1)))
        shares[rank] = shares.get(rank, 0.0) + share
    at_most, miss = np.array(list(shares)), MISS * np.array(list(shares.values()))
    # The quantile of a Beta; scipy.stats has it too, for 45 MB a worker.
    price = betaincinv(at_most, size + 1 - at_most, 1.0 - miss)
    wins = np.arange(size + 2)[:, None] <= at_most
    stakes = np.array(STAKES)
    gain = np.where(wins, 1.0 / price, 0.0)[:, :, None]
    factors = (1.0 - stakes) + stakes * gain
    return Bets(size, factors.reshape(size + 2, -1))


def at_start(bets: Bets) -> DriftState:
    """A detector that has seen nothing."""
    return DriftState(np.zeros(bets.count))


def watch(
    state: DriftState, bets: Bets, p_values: NDArray[np.float64], run_length: float
) -> DriftState:
    """See the next p-values, one after another.

    A sum M becomes f (1 + M) with the factor f of the input: a bet that starts with it joins in.
    Without drift M less the inputs since the alarm is a supermartingale, so that alarms at
    ``run_length`` come at most once in so many inputs on average, and within t inputs the first
    comes with probability at most t / ``run_length``.

    Args:
        state: before.
        bets: for the calibration sample behind the p-values.
        p_values: conformal p-values i / (n + 1) in the order of their inputs, (B,).
        run_length: A > 0, mean number of inputs between two false alarms, at least.
    """
    ranks = np.rint(p_values * (bets.size + 1)).astype(np.int64)
    start = 0
    while start < ranks.size:
        state, seen = _watch_segment(
            state, bets.factors[ranks[start : start + _SEGMENT]], run_length
        )
        start += seen
    return state


def _watch_segment(
    state: DriftState, factors: NDArray[np.float64], run_length: float
) -> tuple[DriftState, int]:
    """See inputs up to the first alarm among them, and say how many those are."""
    product = factors.cumprod(axis=0)
    # M_t = F_t (M_0 + sum over j <= t of 1 / F_(j-1)), F_t the product of the first t factors.
    started = (1.0 / product).cumsum(axis=0) - 1.0 / product + 1.0
    sums = product * (state.sums + started)
    over = sums.mean(axis=1) >= run_length
    if not over.any():
        return _after(state, sums[-1], len(sums)), len(sums)
    first = int(over.argmax())
    before = _after(state, np.zeros_like(state.sums), first + 1)
    return DriftState(before.sums, before.inputs, state.alarms + 1, 0), first + 1


def _after(state: DriftState, sums: NDArray[np.float64], seen: int) -> DriftState:
    since = None if state.since_alarm is None else state.since_alarm + seen
    return DriftState(sums, state.inputs + seen, state.alarms, since)
