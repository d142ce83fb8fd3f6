"""What a single setting may hold: counts, weights, shares, and `auto` in the place of each."""

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

FORBID_EXTRA = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Of every section: an unknown setting is refused."""

Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
# The loop derives a 64-bit seed of every epoch from it.
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
OpenShare = Annotated[float, Field(gt=0.0, lt=1.0)]

AUTO: Final = -1
"""In a number's place: what suits the data, by training/recipe.py. In TOML and flags: `auto`."""


AUTO_RAMP: Final = (float(AUTO), float(AUTO))
"""The same in a ramp's place."""


def is_auto(value: object) -> bool:
    """Whether a field is left to the recipe."""
    return value in ("auto", AUTO, AUTO_RAMP)


def _number(value: object) -> object:
    return AUTO if value == "auto" else value


def _word(value: float) -> int | float | str:
    return "auto" if value == AUTO else value


def _at_least_one(value: int) -> int:
    if value < 1 and value != AUTO:
        raise PydanticCustomError("auto", "Input should be auto, or at least 1")
    return value


def _not_negative(value: float) -> float:
    if value < 0 and value != AUTO:
        raise PydanticCustomError("auto", "Input should be auto, or at least 0")
    return value


def _positive(value: float) -> float:
    if value <= 0 and value != AUTO:
        raise PydanticCustomError("auto", "Input should be auto, or above 0")
    return value


def _below_one(value: float) -> float:
    if value >= 1:
        raise PydanticCustomError("auto", "Input should be auto, or below 1")
    return _not_negative(value)


def _ramp(value: object) -> object:
    return AUTO_RAMP if value == "auto" else value


def _ramp_or_word(value: tuple[float, float]) -> tuple[float, float] | str:
    return "auto" if value == AUTO_RAMP else value


def _shares(value: tuple[float, float]) -> tuple[float, float]:
    if value != AUTO_RAMP and not all(0.0 <= share <= 1.0 for share in value):
        raise PydanticCustomError("auto", "Input should be auto, or two shares of the run")
    return value


_number_or_word = (BeforeValidator(_number), PlainSerializer(_word))
_finite = Field(allow_inf_nan=False)
AutoCount = Annotated[int, AfterValidator(_at_least_one), *_number_or_word]
AutoCountOrZero = Annotated[int, AfterValidator(_not_negative), *_number_or_word]
AutoWeight = Annotated[float, _finite, AfterValidator(_not_negative), *_number_or_word]
AutoPositive = Annotated[float, _finite, AfterValidator(_positive), *_number_or_word]
AutoShare = Annotated[float, _finite, AfterValidator(_below_one), *_number_or_word]
AutoRamp = Annotated[
    tuple[float, float],
    BeforeValidator(_ramp),
    AfterValidator(_shares),
    PlainSerializer(_ramp_or_word),
]
