"""How often the gate stops a candidate that is as good as its parent, and one that is worse.

python -m benchmarks.gate --json benchmarks/results/gate.json

By simulation of the golden set's answers: the parent is right at random, the candidate differs from
it on a share of the inputs. Of these it is right where the parent is wrong as often as the other
way round where it is as good; flags and sets miss at alpha, of either by themselves. Floors are the
parent's own figures.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

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
from rcmvae.bundle import GateOutcome
from training.draft import FITTED_ACCURACY, FITTED_RECALL
from training.gate import GateConfig, Seen, compare

CLASSES = 10
ALPHA = 0.01
SIZES = (300, 2000)
"""Golden inputs: of the digits and of MNIST, as their recipes have them."""
DIFFERING = (0.0, 0.01, 0.03)
"""Share of the golden inputs right by one of the two alone."""
WORSE = (0.02, 0.05)
"""Accuracy that a bad candidate has lost."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of candidate.

    Attributes:
        size: golden inputs, m.
        lost: share of them that the parent alone has right.
        won: share that the candidate alone has right.
    """

    size: int
    lost: float
    won: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("gate", given)
    candidates = 50 if options.quick else options.candidates
    rng = np.random.default_rng(options.seed)
    figures: dict[str, float] = {}
    for size in SIZES:
        for share in DIFFERING:
            name = f"{size}: as good, {share:.0%} differ"
            figures |= _shares(name, Kind(size, share / 2, share / 2), candidates, rng)
        for worse in WORSE:
            name = f"{size}: {worse:.0%} worse"
            figures |= _shares(name, Kind(size, worse + 0.005, 0.005), candidates, rng)
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=(options.seed,),
        config={"candidates": candidates, "classes": CLASSES, "alpha": ALPHA},
        figures={name: figure_of([value]) for name, value in figures.items()},
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _shares(name: str, kind: Kind, candidates: int, rng: np.random.Generator) -> dict[str, float]:
    outcomes = [outcome(kind, rng) for _ in range(candidates)]
    return {
        f"{name}: held": outcomes.count(GateOutcome.HOLD) / candidates,
        f"{name}: rejected": outcomes.count(GateOutcome.REJECT) / candidates,
    }


def outcome(kind: Kind, rng: np.random.Generator, accuracy: float = 0.97) -> GateOutcome:
    """What becomes of one candidate.

    Args:
        kind: of the candidate.
        rng: draws the answers.
        accuracy: of the parent, on average.
    """
    truth = rng.integers(CLASSES, size=kind.size).astype(np.str_)
    before = rng.random(kind.size) < accuracy
    # Of what is right, and of what is wrong, the shares that make `lost` and `won` of all.
    changed = rng.random(kind.size) < np.where(
        before, kind.lost / accuracy, kind.won / (1 - accuracy)
    )
    metrics = {FITTED_ACCURACY: float(before.mean())}
    metrics |= {FITTED_RECALL + y: float(before[truth == y].mean()) for y in np.unique(truth)}
    parent, candidate = _seen(before, rng), _seen(before ^ changed, rng)
    return compare(truth, parent, candidate, metrics, GateConfig()).outcome


def _seen(right: NDArray[np.bool_], rng: np.random.Generator) -> Seen:
    flagged, missed = rng.random((2, right.size)) < ALPHA
    return Seen(right, flagged, missed, ALPHA)


if __name__ == "__main__":
    sys.exit(main())
