"""Which parts of a prediction a caller asks for, and in which layout."""

from collections.abc import Iterable
from enum import StrEnum

from rcmvae.errors import InvalidInput
from service.problem import quoted


class Part(StrEnum):
    """An optional part of a prediction; the rest is always there."""

    PROBABILITIES = "probabilities"
    PREDICTION_SET = "prediction_set"
    UNCERTAINTY = "uncertainty"
    SCORES = "scores"
    POSITION = "position"
    RESPONSIBILITIES = "responsibilities"


class JsonFormat(StrEnum):
    """How an answer in JSON is laid out."""

    RECORDS = "records"
    COLUMNS = "columns"


DEFAULT_PARTS = frozenset(Part) - {Part.RESPONSIBILITIES}
_EXPECTED = ", ".join(Part)


def parse_include(names: Iterable[object]) -> frozenset[Part]:
    """The parts that ``include`` names.

    Raises:
        InvalidInput: a name that is not a part.
    """
    return frozenset(_part(i, name) for i, name in enumerate(names))


def parse_format(name: object) -> JsonFormat:
    """The layout that ``format`` names; records where it names none.

    Raises:
        InvalidInput: a name that is no layout.
    """
    if name is None:
        return JsonFormat.RECORDS
    try:
        return JsonFormat(name if isinstance(name, str) else "")
    except ValueError:
        actual = quoted(name) if isinstance(name, str) else "not a string"
        raise InvalidInput("format", " or ".join(JsonFormat), actual) from None


def _part(i: int, name: object) -> Part:
    try:
        return Part(str(name) if isinstance(name, str) else "")
    except ValueError:
        actual = quoted(name) if isinstance(name, str) else "not a string"
        raise InvalidInput(f"include[{i}]", f"one of {_EXPECTED}", actual) from None
