"""JSON as RFC 8259 has it: UTF-8, no NaN or infinity, no key given twice."""

import json
import math
from typing import NoReturn


def parse_json(content: bytes) -> object:
    """Parse strictly.

    Raises:
        ValueError: not UTF-8, not JSON, too deep, a key given twice, NaN or infinity.
    """
    try:
        parsed: object = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return parsed


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond float64")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
