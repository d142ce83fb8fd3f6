"""GET /candidates, from the query to a command."""

from dataclasses import dataclass
from enum import StrEnum

from starlette.datastructures import QueryParams

from rcmvae.candidates import Strategy
from rcmvae.errors import InvalidInput
from service.predict_request import refuse_unknown
from service.problem import quoted

DEFAULT_STRATEGY = Strategy.REPRESENTATIVES
DEFAULT_COUNT = 10
_PARAMETERS = frozenset({"strategy", "count", "include"})
# More digits than any limit has are not worth the conversion.
_MOST_DIGITS = 9


class CandidatePart(StrEnum):
    """An optional part of a candidate."""

    INPUT = "input"


@dataclass(frozen=True, slots=True)
class CandidatesRequest:
    """What to choose.

    Attributes:
        strategy: how.
        count: at most so many.
        with_input: whether the inputs themselves are asked for.
    """

    strategy: Strategy
    count: int
    with_input: bool


def parse_candidates(query: QueryParams, most: int) -> CandidatesRequest:
    """Read the query.

    Raises:
        InvalidInput: a parameter is unknown or does not fit.
    """
    refuse_unknown(query, _PARAMETERS)
    return CandidatesRequest(
        strategy=_strategy(query.get("strategy", DEFAULT_STRATEGY)),
        count=count_of("count", query.get("count", str(min(DEFAULT_COUNT, most))), most),
        with_input=_with_input(query.get("include")),
    )


def _strategy(name: str) -> Strategy:
    try:
        return Strategy(name)
    except ValueError:
        expected = f"one of {', '.join(Strategy)}"
        raise InvalidInput("strategy", expected, quoted(name)) from None


def count_of(field: str, text: str, most: int) -> int:
    """A whole number from 1 to ``most``.

    Raises:
        InvalidInput: anything else.
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_number or not 1 <= int(text) <= most:
        raise InvalidInput(field, f"1 to {most}", quoted(text))
    return int(text)


def _with_input(text: str | None) -> bool:
    if text not in (None, CandidatePart.INPUT):
        raise InvalidInput("include", f"{CandidatePart.INPUT}", quoted(str(text)))
    return text is not None
