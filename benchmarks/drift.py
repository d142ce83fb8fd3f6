"""False alarms and delays of the drift detector, and what the textbook's martingale does instead.

python -m benchmarks.drift --json benchmarks/results/drift.json

By simulation: scores are uniform, an outlier lies above all of them, so that only the size of the
calibration sample and the share of outliers matter. Beside it runs the Simple Jumper (Vovk et al.
2021), on smoothed p-values against the calibration sample alone, and against everything seen.
"""

import argparse
import bisect
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import (
    Result,
    add_options,
    figure_of,
    print_figures,
    provenance,
    write_result,
)
from rcmvae.conformal import ConformalSample
from rcmvae.drift import RUN_LENGTH, DriftState, at_start, bets_for, watch

SIZES = (240, 1600)
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5)
QUIET = 2000
"""Inputs without an outlier before those with."""

MOST = 10_000
"""Inputs after which a drift counts as not noticed."""

CHECKED = 10_000.0
"""Run length at which false alarms are counted: at the default of a million there are too few."""

CAPITAL = 100.0
"""Ville: without drift the capital of a martingale ever reaches it with probability 1 %."""

JUMP = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--streams", type=int, default=200, help="a calibration sample each")
    parser.add_argument("--length", type=int, default=50_000, help="of a stream without drift")
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("drift", given)
    streams = 10 if options.quick else options.streams
    length = 2000 if options.quick else options.length
    figures: dict[str, float | None] = {}
    for size in SIZES:
        rng = np.random.default_rng([options.seed, size])
        figures |= _false_alarms(size, streams, length, rng)
        for share in SHARES:
            figures |= _delays(size, share, streams, rng)
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=(options.seed,),
        config={"streams": streams, "length": length, "quiet": QUIET, "checked": CHECKED},
        figures={name: figure_of([value]) for name, value in figures.items()},
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _false_alarms(
    size: int, streams: int, length: int, rng: np.random.Generator
) -> dict[str, float | None]:
    """Alarms without drift: ours in units of what is allowed, and how often the jumper passes."""
    bets = bets_for(size)
    rates, jumped = [], 0
    for _ in range(streams):
        sample, scores = np.sort(rng.random(size)), rng.random(length)
        state = watch(at_start(bets), bets, ConformalSample(sample).p_values(scores), CHECKED)
        rates.append(state.alarms * CHECKED / length)
        jumped += passed(_smoothed(sample, scores, rng)) is not None
    return {
        f"{size}: false alarms, of those allowed": float(np.mean(rates)),
        f"{size}: samples with more than allowed": float(np.mean(np.array(rates) > 1.0)),
        f"{size}: jumper on the sample alone, false alarms": jumped / streams,
    }


def _delays(
    size: int, share: float, streams: int, rng: np.random.Generator
) -> dict[str, float | None]:
    """Inputs from the first with outliers to the alarm, by the service's default run length."""
    bets = bets_for(size)
    ours, grown = [], []
    for _ in range(streams):
        sample, before = np.sort(rng.random(size)), rng.random(QUIET)
        drawn, is_outlier = rng.random(MOST), rng.random(MOST) < share
        after = np.where(is_outlier, 2.0 + drawn, drawn)
        state = watch(at_start(bets), bets, ConformalSample(sample).p_values(before), RUN_LENGTH)
        ours.append(_first_alarm(state.sums, size, ConformalSample(sample).p_values(after)))
        everything = _growing(sample, np.concatenate([before, after[: MOST // 4]]), rng)
        found = passed(everything)
        grown.append(np.inf if found is None or found < QUIET else found - QUIET)
    name = f"{size}: {100 * share:g} % outliers"
    return {
        f"{name}, inputs to the alarm, median": _finite(np.median(ours)),
        f"{name}, inputs to the alarm, 90 %": _finite(np.quantile(ours, 0.9, method="higher")),
        f"{name}, jumper on everything, median": _finite(np.median(grown)),
    }


def _first_alarm(sums: NDArray[np.float64], size: int, p: NDArray[np.float64]) -> float:
    """Inputs up to the first alarm, that one included; infinite for none."""
    bets, state = bets_for(size), DriftState(sums)
    for start in range(0, len(p), 16):
        state = watch(state, bets, p[start : start + 16], RUN_LENGTH)
        if state.alarms and state.since_alarm is not None:
            return float(state.inputs - state.since_alarm)
    return float("inf")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _smoothed(
    sample: NDArray[np.float64], scores: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Smoothed p-values against the sample alone; scores do not tie."""
    above = sample.size - np.searchsorted(sample, scores)
    return np.asarray((above + rng.random(scores.size)) / (sample.size + 1))


def _growing(
    sample: NDArray[np.float64], scores: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Smoothed p-values against the sample and all scores before: uniform and independent."""
    seen, p = sample.tolist(), np.empty(scores.size)
    for i, (score, chance) in enumerate(zip(scores, rng.random(scores.size), strict=True)):
        p[i] = (len(seen) - bisect.bisect_right(seen, score) + chance) / (len(seen) + 1)
        bisect.insort(seen, score)
    return p


def passed(p: NDArray[np.float64]) -> int | None:
    """After how many p-values the Simple Jumper's capital passes CAPITAL; None for never."""
    down = flat = up = 1.0 / 3.0
    for i, value in enumerate((p - 0.5).tolist()):
        share = JUMP * (down + flat + up) / 3.0
        down = ((1.0 - JUMP) * down + share) * (1.0 - value)
        flat = (1.0 - JUMP) * flat + share
        up = ((1.0 - JUMP) * up + share) * (1.0 + value)
        if down + flat + up >= CAPITAL:
            return i + 1
    return None


if __name__ == "__main__":
    sys.exit(main())
