"""POST /predict, from bytes to a command."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams

from rcmvae.bundle.manifest import InputSignature
from rcmvae.calibration import Coverage
from rcmvae.errors import InvalidInput
from rcmvae.input_rows import WIRE_DTYPES, rows_from_bytes, rows_from_nested
from rcmvae.sampled import Sampling
from service.body import refuse_media_type
from service.include import DEFAULT_PARTS, Part, parse_include
from service.json_body import kind_of, parse_object, require_list
from service.problem import quoted
from service.sampling_request import digits, parse_coverage, parse_sampling

JSON = "application/json"
OCTETS = "application/octet-stream"

_RATE = "a number between 0 and 1, both excluded"
_OPTIONS = frozenset({"alpha", "fdr", "include", "coverage", "samples", "seed", "sample_channel"})
_MEMBERS = _OPTIONS | {"inputs"}
_PARAMETERS = _OPTIONS | {"dtype"}


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What to predict and how to answer.

    Attributes:
        x: float32 (N, *shape), finite and in the signature's range.
        alpha: false-alarm rate in (0, 1); None for the default.
        fdr: false discovery rate of the decisions, in (0, 1); None to decide every row by alpha.
        parts: the optional parts of each prediction.
        coverage: of the prediction sets; None for the bundle's own.
        sampling: of the uncertainty; None for none.
    """

    x: NDArray[np.float32]
    alpha: float | None
    fdr: float | None
    parts: frozenset[Part]
    coverage: Coverage | None
    sampling: Sampling | None


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
    include = document.get("include")
    x = rows_from_nested(rows, signature)
    return PredictRequest(
        x,
        _rate_from_json(document, "alpha"),
        _rate_from_json(document, "fdr"),
        DEFAULT_PARTS if include is None else _parts_from_json(include),
        parse_coverage(document.get("coverage")),
        parse_sampling(
            document.get("samples"),
            document.get("seed"),
            document.get("sample_channel"),
            rows=len(x),
            max_rows=max_rows,
        ),
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
    include = query.get("include")
    parts = DEFAULT_PARTS if include is None else parse_include(include.split(","))
    return PredictRequest(
        x,
        _rate_from_text(query, "alpha"),
        _rate_from_text(query, "fdr"),
        parts,
        parse_coverage(query.get("coverage")),
        parse_sampling(
            digits(query.get("samples")),
            digits(query.get("seed")),
            query.get("sample_channel"),
            rows=len(x),
            max_rows=max_rows,
        ),
    )


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


def _rate_from_json(document: Mapping[str, object], field: str) -> float | None:
    rate = document.get(field)
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise InvalidInput(field, _RATE, kind_of(rate))
    return _rate_in_range(field, rate)


def _rate_from_text(query: QueryParams, field: str) -> float | None:
    text = query.get(field)
    if text is None:
        return None
    try:
        rate = float(text)
    except ValueError:
        raise InvalidInput(field, _RATE, quoted(text)) from None
    return _rate_in_range(field, rate)


def _rate_in_range(field: str, rate: float) -> float:
    if not 0 < rate < 1:
        raise InvalidInput(field, _RATE, f"{rate:g}")
    return float(rate)
