"""POST /predict, from bytes to a command."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams

from rcmvae.bundle.manifest import InputSignature
from rcmvae.calibration import Coverage
from rcmvae.errors import InvalidInput
from rcmvae.input_rows import WIRE_DTYPES, rows_from_array, rows_from_bytes, rows_from_nested
from rcmvae.sampled import Sampling
from service.body import refuse_media_type
from service.include import DEFAULT_PARTS, JsonFormat, Part, parse_format, parse_include
from service.json_body import kind_of, parse_object, require_list
from service.problem import quoted
from service.sampling_request import digits, parse_coverage, parse_sampling
from service.wire.columns import rows_of_columns
from service.wire.media_types import JSON, NPY, OCTETS, PNG, READ
from service.wire.npy import read_npy
from service.wire.png import read_png

_RATE = "a number between 0 and 1, both excluded"
_OPTIONS = frozenset(
    {"alpha", "fdr", "include", "coverage", "samples", "seed", "sample_channel", "format"}
)
_NO_OPTIONS = frozenset({"dtype"})
_MEMBERS = _OPTIONS | {"inputs", "columns"}
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
        format: of an answer in JSON.
    """

    x: NDArray[np.float32]
    alpha: float | None
    fdr: float | None
    parts: frozenset[Part]
    coverage: Coverage | None
    sampling: Sampling | None
    format: JsonFormat = JsonFormat.RECORDS


def parse_predict(
    media_type: str, query: QueryParams, body: bytes, signature: InputSignature, max_rows: int
) -> PredictRequest:
    """Read a request of any form.

    Raises:
        RequestRefused: 400 malformed JSON, 415 a type that is not read.
        InvalidInput: anything else that does not fit.
    """
    if media_type == JSON:
        return _from_json(query, body, signature, max_rows)
    if media_type not in READ:
        raise refuse_media_type(" or ".join(READ), media_type)
    refuse_unknown(query, _PARAMETERS if media_type == OCTETS else _OPTIONS)
    x = _from_bytes(media_type, query, body, signature)
    if len(x) > max_rows:
        raise InvalidInput("body", f"1 to {max_rows} rows", f"{len(x)} rows")
    if query.keys() <= _NO_OPTIONS:  # as of most requests
        return PredictRequest(x, None, None, DEFAULT_PARTS, None, None)
    return _with_query(x, query, max_rows)


def _from_json(
    query: QueryParams, body: bytes, signature: InputSignature, max_rows: int
) -> PredictRequest:
    refuse_unknown(query, frozenset())
    document = parse_object(body, _MEMBERS)
    # There is an r in true, and an f in false.
    may_hold_booleans = b"r" in body or b"f" in body
    rows = _rows(document, signature, max_rows)
    x = rows_from_nested(rows, signature, may_hold_booleans=may_hold_booleans)
    include = document.get("include")
    return PredictRequest(
        x,
        parse_rate("alpha", document.get("alpha")),
        parse_rate("fdr", document.get("fdr")),
        DEFAULT_PARTS if include is None else _parts_from_json(include),
        parse_coverage(document.get("coverage")),
        parse_sampling(
            document.get("samples"),
            document.get("seed"),
            document.get("sample_channel"),
            rows=len(x),
            max_rows=max_rows,
        ),
        parse_format(document.get("format")),
    )


def _rows(
    document: dict[str, object], signature: InputSignature, max_rows: int
) -> Sequence[object]:
    """The rows of a JSON body, which come as rows or as columns."""
    columns = document.get("columns")
    if columns is None:
        return require_list(document, "inputs", limit=max_rows)
    if document.get("inputs") is not None:
        raise InvalidInput("columns", "either inputs or columns", "both")
    rows = rows_of_columns(columns, signature)
    if not 1 <= len(rows) <= max_rows:
        raise InvalidInput("columns", f"columns of 1 to {max_rows} values", f"{len(rows)}")
    return rows


def _from_bytes(
    media_type: str, query: QueryParams, body: bytes, signature: InputSignature
) -> NDArray[np.float32]:
    """The inputs of a body that is not JSON, float32 (N, *shape)."""
    if media_type == OCTETS:
        dtype = query.get("dtype")
        if dtype is None:
            expected = f"query parameter dtype={' or '.join(WIRE_DTYPES)}"
            raise InvalidInput("dtype", expected, "nothing")
        return rows_from_bytes(body, dtype, signature)
    if media_type == NPY:
        return rows_from_array(read_npy(body), signature, field="body")
    if media_type == PNG:
        return rows_from_array(read_png(body, signature)[np.newaxis], signature, field="body")
    # Imported here: a worker that never meets Arrow does without its 27 MB.
    from service.wire.arrow_in import read_stream  # noqa: PLC0415

    return rows_from_array(read_stream(body, signature), signature, field="body")


def _with_query(x: NDArray[np.float32], query: QueryParams, max_rows: int) -> PredictRequest:
    include = query.get("include")
    names = include.split(",") if include else []
    return PredictRequest(
        x,
        _rate_from_text(query, "alpha"),
        _rate_from_text(query, "fdr"),
        DEFAULT_PARTS if include is None else parse_include(names),
        parse_coverage(query.get("coverage")),
        parse_sampling(
            digits(query.get("samples")),
            digits(query.get("seed")),
            query.get("sample_channel"),
            rows=len(x),
            max_rows=max_rows,
        ),
        parse_format(query.get("format")),
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


def parse_rate(field: str, rate: object) -> float | None:
    """A rate in JSON; None where there is none.

    Raises:
        InvalidInput: it is no number in (0, 1).
    """
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
