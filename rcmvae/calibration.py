"""What is fixed after the fit, on inputs that the fit never saw: `calibration.json`."""

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.conformal import ConformalSample
from rcmvae.decision import smallest_alpha
from rcmvae.errors import BundleDamaged, InvalidInput

Sample = tuple[float, ...]
OwnedSource = Literal["held_out", "leave_one_out", "mixed"]
ProbabilitySource = Literal["held_out", "leave_one_out"]
Coverage = Literal["marginal", "class_conditional"]

_TIE = 1e-6
"""Scores in [0, 1] that are nearer to each other than this are taken as equal.

Where routing saturates, many inputs share one score. The graph computes it in float32 and the
sample may be computed in float64; without this the rounding would make the common score look
stranger than all its equals. A tie can only raise a p-value, so the guarantee stays.
"""


class Calibration(BaseModel):
    """Temperature, Dirichlet floor, and the three calibration samples in ascending order.

    Attributes:
        temperature: divides the channel logits before the softmax.
        alpha0: Dirichlet floor per label.
        alpha: false-alarm rate that a request gets when it names none.
        free_mass: a channel with less labelled mass than this, in examples, is free.
        score_names: names of the columns of the graph's ``scores`` output.
        owned_source: where the sample of question 2 comes from: held-out labelled inputs; the
            leave-one-out scores of the labelled examples themselves; or both, where a label that
            was added later has no held-out input.
        fused: fused scores of held-out inputs, no labels needed (question 1).
        owned: ownership scores of inputs of known labels (question 2).
        label_set: 1 - p(y|x) of the true label (LAC; Sadinle, Lei and Wasserman 2019).
        label_set_labels: index of that label, for each score of ``label_set``; None in bundles
            from before class-conditional sets, which then have none.
        coverage: what a prediction set covers where a request asks for none.
        probability_source: what temperature and alpha0 were chosen by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: Annotated[float, Field(gt=0.0)]
    alpha0: Annotated[float, Field(gt=0.0)]
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)]
    free_mass: Annotated[float, Field(gt=0.0)]
    score_names: tuple[str, ...]
    owned_source: OwnedSource
    fused: Annotated[Sample, Field(min_length=1)]
    owned: Annotated[Sample, Field(min_length=1)]
    label_set: Annotated[Sample, Field(min_length=1)]
    label_set_labels: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    coverage: Coverage = "marginal"
    probability_source: ProbabilitySource = "held_out"

    @field_validator("fused", "owned", "label_set")
    @classmethod
    def _is_ascending(cls, sample: Sample) -> Sample:
        if any(a > b for a, b in pairwise(sample)):
            raise ValueError("the calibration sample must be in ascending order")
        return sample

    @model_validator(mode="after")
    def _every_score_has_a_label(self) -> "Calibration":
        labels, count = self.label_set_labels, len(self.label_set)
        if labels is not None and len(labels) != count:
            raise ValueError(f"label_set_labels must be {count} indices, got {len(labels)}")
        if labels is None and self.coverage == "class_conditional":
            raise ValueError("coverage must be marginal without label_set_labels")
        return self

    @property
    def smallest_alpha(self) -> float:
        """The smallest alpha at which both questions can still raise an alarm."""
        return smallest_alpha((len(self.fused), len(self.owned)))


_NONE = ConformalSample(np.empty(0))
"""Of a label without calibration inputs: every p-value is one."""


def _by_label(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[int, ConformalSample]:
    return {y: ConformalSample(scores[labels == y]) for y in np.unique(labels).tolist()}


class PValues:
    """The calibration samples, ready to judge batches."""

    __slots__ = ("_fused", "_label_set", "_of_label", "_owned")

    def __init__(self, calibration: Calibration) -> None:
        self._fused = ConformalSample(np.asarray(calibration.fused))
        self._owned = ConformalSample(np.asarray(calibration.owned))
        label_set = np.asarray(calibration.label_set)
        self._label_set = ConformalSample(label_set)
        labels = calibration.label_set_labels
        self._of_label = None if labels is None else _by_label(label_set, np.asarray(labels))

    def familiar(self, fused: NDArray[np.floating]) -> NDArray[np.float64]:
        """p-values of question 1 for fused scores of any shape."""
        return self._fused.p_values(fused)

    def owned(self, unowned: NDArray[np.floating]) -> NDArray[np.float64]:
        """p-values of question 2 for ownership scores of any shape."""
        return self._owned.p_values(unowned.astype(np.float64) - _TIE)

    def labels(
        self, probabilities: NDArray[np.floating], coverage: Coverage = "marginal"
    ) -> NDArray[np.float64]:
        """p-values of every label for probabilities (..., C).

        Class-conditional ones rank a label's score among those of its own inputs (Mondrian; Vovk,
        Gammerman and Shafer 2005, section 4.5). One without any is never rejected.

        Raises:
            InvalidInput: they are to be class-conditional, and the sample does not say its labels.
        """
        scores = (1.0 - _TIE) - probabilities.astype(np.float64)
        if coverage == "marginal":
            return self._label_set.p_values(scores)
        if self._of_label is None:
            expected = "marginal, as this bundle's sample does not say its labels"
            raise InvalidInput("coverage", expected, coverage)
        of_label = (
            self._of_label.get(y, _NONE).p_values(scores[..., y]) for y in range(scores.shape[-1])
        )
        return np.stack(list(of_label), axis=-1)


def parse_calibration(content: bytes) -> Calibration:
    """Read the content of `calibration.json`.

    Raises:
        BundleDamaged: it is not what the format says; names the field.
    """
    try:
        return Calibration.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BundleDamaged("calibration", CALIBRATION, f"{field}: {first['msg']}") from None


def ascending(sample: NDArray[np.floating]) -> Sample:
    """A calibration sample as the format wants it: sorted, as Python floats."""
    return tuple(float(value) for value in np.sort(sample.astype(np.float64)))
