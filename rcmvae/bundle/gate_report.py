"""What the gate said of a bundle before it was promoted, held for a person or rejected."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class GateOutcome(StrEnum):
    """What becomes of a candidate.

    promote  it is not worse than what it replaces, as far as the golden set can tell
    hold     it may be worse: a person has to look and may promote it
    reject   it is worse
    """

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GateCheck(_Frozen):
    """One check.

    Attributes:
        check: name of the check, such as ``accuracy`` or ``class``.
        label: of the class that it is about; None where it is about all.
        outcome: what the candidate would deserve by this check alone.
        detail: what was expected, and what came.
        p_value: of the test behind it; None where there is none.
    """

    check: str
    label: str | None = None
    outcome: GateOutcome
    detail: str
    p_value: Share | None = None


class GateReport(_Frozen):
    """What the gate saw and said.

    Attributes:
        outcome: the worst of the checks'.
        reason: in words, the checks that did not pass; empty where all did.
        examples: labelled golden inputs.
        parent_accuracy: of the serving version on them.
        candidate_accuracy: of the candidate.
        checks: those that did not pass, and the paired test on all of them.
    """

    outcome: GateOutcome
    reason: str
    examples: Annotated[int, Field(ge=0)]
    parent_accuracy: Share
    candidate_accuracy: Share
    checks: tuple[GateCheck, ...]
