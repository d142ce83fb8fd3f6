"""One term of the objective, and what the terms sum to."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Term:
    """A term at one step.

    Attributes:
        name: field of ``EpochRecord`` that keeps its mean.
        value: scalar tensor.
        weight: what it is multiplied by; negative for a reward.
    """

    name: str
    value: Tensor
    weight: float


def combine(terms: Sequence[Term]) -> Tensor:
    """The weighted sum that is minimised, a scalar; at least one term."""
    first, *others = terms
    loss = first.weight * first.value
    for term in others:
        loss = loss + term.weight * term.value
    return loss
