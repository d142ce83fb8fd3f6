"""JSON from outside: parsed strictly, members checked by name and kind."""

from collections.abc import Mapping

import orjson

from rcmvae.errors import InvalidInput
from service.problem import quoted, refusal

_KINDS: Mapping[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def parse_object(body: bytes, members: frozenset[str]) -> dict[str, object]:
    """A JSON object with no members but the given ones.

    Raises:
        RequestRefused: 400, not JSON (NaN and Infinity are not JSON).
        InvalidInput: not an object, or an unknown member.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        actual = f"{error.msg} at line {error.lineno} column {error.colno}"
        expected = "JSON in UTF-8 (which has no NaN or Infinity)"
        raise refusal(400, "malformed-json", "body", expected, actual) from None
    return require_object(document, "body", members)


def require_object(value: object, field: str, members: frozenset[str]) -> dict[str, object]:
    """The value as an object whose members are all known."""
    if not isinstance(value, dict):
        raise InvalidInput(field, "an object", kind_of(value))
    for name in value:
        if name not in members:
            expected = f"members {', '.join(sorted(members))} only"
            raise InvalidInput(field, expected, f"member {quoted(name)}")
    return value


def require_list(document: Mapping[str, object], name: str, *, limit: int) -> list[object]:
    """A member that must be a list of 1 to ``limit`` entries."""
    value = document.get(name)
    if not isinstance(value, list):
        actual = kind_of(value) if name in document else "nothing"
        raise InvalidInput(name, f"a list of 1 to {limit} entries", actual)
    if not 1 <= len(value) <= limit:
        raise InvalidInput(name, f"a list of 1 to {limit} entries", f"{len(value)} entries")
    return value


def kind_of(value: object) -> str:
    """What a parsed JSON value is, for an error."""
    return _KINDS.get(type(value), "a value")
