"""POST /predict, from bytes to a command."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from rcmvae.input_rows import WIRE_DTYPES, rows_from_bytes, rows_from_nested
from service.body import refuse_media_type
from service.include import DEFAULT_PARTS, Part, parse_include
from service.json_body import kind_of, parse_object, require_list
from service.problem import quoted

JSON = "application/json"
OCTETS = "application/octet-stream"

_MEMBERS = frozenset({"inputs", "alpha", "include"})
_PARAMETERS = frozenset({"dtype", "alpha", "include"})


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What to predict and how to answer.

    Attributes:
        x: float32 (N, *shape), finite and in the signature's range.
        alpha: false-alarm rate in (0, 1); None for the default.
        parts: the optional parts of each prediction.
    """

    x: NDArray[np.float32]
    alpha: float | None
    parts: frozenset[Part]


def parse_predict(
    media_type: str, query: QueryParams, body: bytes, signature: InputSignature, max_rows: int
) -> PredictRequest:
    """Read a request of either form.

    Raises:
        RequestRefused: 400 malformed JSON, 415 a type that is neither JSON nor octets.
        InvalidInput: anything else that does not fit.
    """
    if media_type == JSON:
        return _from_json(query, body, signature, max_rows)
    if media_type == OCTETS:
        return _from_octets(query, body, signature, max_rows)
    raise refuse_media_type(f"{JSON} or {OCTETS}", media_type)


def _from_json(
    query: QueryParams, body: bytes, signature: InputSignature, max_rows: int
) -> PredictRequest:
    refuse_unknown(query, frozenset())
    document = parse_object(body, _MEMBERS)
    rows = require_list(document, "inputs", limit=max_rows)
    alpha, include = document.get("alpha"), document.get("include")
    return PredictRequest(
        rows_from_nested(rows, signature),
        None if alpha is None else _alpha_from_json(alpha),
        DEFAULT_PARTS if include is None else _parts_from_json(include),
    )


def _from_octets(
    query: QueryParams, body: bytes, signature: InputSignature, max_rows: int
) -> PredictRequest:
    refuse_unknown(query, _PARAMETERS)
    dtype = query.get("dtype")
    if dtype is None:
        raise InvalidInput("dtype", f"query parameter dtype={' or '.join(WIRE_DTYPES)}", "nothing")
    x = rows_from_bytes(body, dtype, signature)
    if len(x) > max_rows:
        raise InvalidInput("body", f"1 to {max_rows} rows", f"{len(x)} rows")
    alpha, include = query.get("alpha"), query.get("include")
    parts = DEFAULT_PARTS if include is None else parse_include(include.split(","))
    return PredictRequest(x, None if alpha is None else _alpha_from_text(alpha), parts)


def refuse_unknown(query: QueryParams, known: frozenset[str]) -> None:
    """Refuse query parameters that a route does not have.

    Raises:
        InvalidInput: names the first one.
    """
    for name in query:
        if name not in known:
            expected = f"query parameters {', '.join(sorted(known)) or 'none'}"
            raise InvalidInput("query", expected, quoted(name))


def _parts_from_json(include: object) -> frozenset[Part]:
    if not isinstance(include, list):
        raise InvalidInput("include", "a list of names", kind_of(include))
    return parse_include(include)


def _alpha_from_json(alpha: object) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)):
        raise InvalidInput("alpha", "a number between 0 and 1, both excluded", kind_of(alpha))
    return _alpha_in_range(alpha)


def _alpha_from_text(alpha: str) -> float:
    try:
        return _alpha_in_range(float(alpha))
    except ValueError:
        expected = "a number between 0 and 1, both excluded"
        raise InvalidInput("alpha", expected, quoted(alpha)) from None


def _alpha_in_range(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise InvalidInput("alpha", "a number between 0 and 1, both excluded", f"{alpha:g}")
    return float(alpha)
