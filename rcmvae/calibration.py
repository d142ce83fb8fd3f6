"""What is fixed after the fit, on inputs that the fit never saw: `calibration.json`."""

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.decision import conformal_p_values, smallest_alpha
from rcmvae.errors import BundleDamaged

Sample = tuple[float, ...]
OwnedSource = Literal["held_out", "leave_one_out", "mixed"]

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

    @field_validator("fused", "owned", "label_set")
    @classmethod
    def _is_ascending(cls, sample: Sample) -> Sample:
        if any(a > b for a, b in pairwise(sample)):
            raise ValueError("the calibration sample must be in ascending order")
        return sample

    @property
    def smallest_alpha(self) -> float:
        """The smallest alpha at which both questions can still raise an alarm."""
        return smallest_alpha((len(self.fused), len(self.owned)))


class PValues:
    """The calibration samples as arrays, ready to judge batches."""

    __slots__ = ("_fused", "_label_set", "_owned")

    def __init__(self, calibration: Calibration) -> None:
        self._fused = np.asarray(calibration.fused)
        self._owned = np.asarray(calibration.owned)
        self._label_set = np.asarray(calibration.label_set)

    def familiar(self, fused: NDArray[np.floating]) -> NDArray[np.float64]:
        """p-values of question 1 for fused scores of any shape."""
        return conformal_p_values(self._fused, fused)

    def owned(self, unowned: NDArray[np.floating]) -> NDArray[np.float64]:
        """p-values of question 2 for ownership scores of any shape."""
        return conformal_p_values(self._owned, unowned.astype(np.float64) - _TIE)

    def labels(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """p-values of every label for probabilities of any shape."""
        return conformal_p_values(self._label_set, 1.0 - probabilities.astype(np.float64) - _TIE)


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
