"""Inputs to answer for, and what decides how they must be run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.calibration import Coverage
from rcmvae.sampled import Sampling
from service.served import Served


@dataclass(frozen=True, slots=True)
class Question:
    """What one run of the session needs to know.

    What a request wants beside it (alpha, a false discovery rate, the parts of the answer) is not
    here: it belongs to the request, and is done with its own rows after the run.

    Attributes:
        served: the bundle that answers.
        x: float32 (N, *shape), finite and in the signature's range.
        coverage: of the p-values of the labels.
        sampling: of the uncertainty; None for none.
    """

    served: Served
    x: NDArray[np.float32]
    coverage: Coverage
    sampling: Sampling | None = None

    @property
    def rows(self) -> int:
        """What it costs, in inputs: every draw is one more row to decode and to encode."""
        return len(self.x) * (1 + (self.sampling.draws if self.sampling else 0))

    def runs_with(self, other: "Question") -> bool:
        """Whether both can be rows of one run. Draws are made for a request by itself."""
        if self.sampling is not None or other.sampling is not None:
            return False
        return self.served is other.served and self.coverage == other.coverage


def join(questions: Sequence[Question]) -> Question:
    """One question of all rows, in their order, from questions that run together."""
    first = questions[0]
    if len(questions) == 1:
        return first
    x = np.concatenate([question.x for question in questions])
    return Question(first.served, x, first.coverage)
