"""Requests that must be refused, each with the status and the field that the answer must name.

The same table runs against the application in this process and against a real server. The bundle
behind it is `small_bundle`: inputs (2, 3) in [0, 1]; the server takes 4 rows and 4096 bytes.
"""

import dataclasses
import json
from collections.abc import Mapping

MAX_ROWS = 4
MAX_BODY_BYTES = 4096
JSON = {"content-type": "application/json"}
OCTETS = {"content-type": "application/octet-stream"}
ROW = [0.5] * 6


@dataclasses.dataclass(frozen=True, slots=True)
class BadRequest:
    """A request and how it must be refused."""

    name: str
    status: int
    field: str
    content: bytes
    path: str = "/predict"
    method: str = "POST"
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: JSON)


def _predict(name: str, status: int, fault: str, document: object) -> BadRequest:
    return BadRequest(name, status, fault, json.dumps(document).encode())


def _raw(name: str, status: int, fault: str, content: bytes) -> BadRequest:
    return BadRequest(name, status, fault, content)


def _octets(name: str, status: int, fault: str, query: str, content: bytes) -> BadRequest:
    return BadRequest(name, status, fault, content, f"/predict{query}", headers=OCTETS)


def _feedback(name: str, status: int, fault: str, document: object) -> BadRequest:
    return BadRequest(name, status, fault, json.dumps(document).encode(), "/feedback")


def _label(name: str, label: object) -> BadRequest:
    document = {"items": [{"input": ROW, "label": label}]}
    return _feedback(f"label {name}", 422, "items[0].label", document)


NAN_F32 = b"\x00\x00\xc0\x7f"
BAD_REQUESTS = (
    _raw("empty body", 400, "body", b""),
    _raw("malformed", 400, "body", b'{"inputs": [[1,'),
    _raw("not UTF-8", 400, "body", b'{"inputs": ["\xff"]}'),
    _raw("NaN", 400, "body", b'{"inputs": [[NaN, 0, 0, 0, 0, 0]]}'),
    _raw("Infinity", 400, "body", b'{"inputs": [[-Infinity, 0, 0, 0, 0, 0]]}'),
    _raw("too deep", 400, "body", b'{"inputs": ' + b"[" * 2000),
    _raw("beyond float32", 422, "inputs[0]", b'{"inputs": [[1e39, 0, 0, 0, 0, 0]]}'),
    _raw("huge integer", 400, "body", b'{"inputs": [[' + b"9" * 400 + b", 0, 0, 0, 0, 0]]}"),
    _predict("not an object", 422, "body", [ROW]),
    _predict("null", 422, "body", None),
    _predict("unknown member", 422, "body", {"inputs": [ROW], "input": []}),
    _predict("no inputs", 422, "inputs", {}),
    _predict("inputs is an object", 422, "inputs", {"inputs": {}}),
    _predict("no rows", 422, "inputs", {"inputs": []}),
    _predict("too many rows", 422, "inputs", {"inputs": [ROW] * (MAX_ROWS + 1)}),
    _predict("one flat row without its list", 422, "inputs[0]", {"inputs": [0.5] * 4}),
    _predict("short row", 422, "inputs[1]", {"inputs": [ROW, ROW[:5]]}),
    _predict("long row", 422, "inputs[0]", {"inputs": [[*ROW, 0.5]]}),
    _predict("empty row", 422, "inputs[0]", {"inputs": [[]]}),
    _predict("transposed", 422, "inputs[0]", {"inputs": [[[0, 0], [0, 0], [0, 0]]]}),
    _predict("ragged", 422, "inputs[0][1]", {"inputs": [[[0, 0, 0], [0, 0]]]}),
    _predict("too nested", 422, "inputs[0]", {"inputs": [[[[0], 0, 0], [0, 0, 0]]]}),
    _predict("half nested", 422, "inputs[0][1]", {"inputs": [[[0, 0, 0], 0]]}),
    _predict("half flat", 422, "inputs[0]", {"inputs": [[0, 0, 0, 0, 0, [0]]]}),
    _predict("a string", 422, "inputs[0]", {"inputs": [["0", 0, 0, 0, 0, 0]]}),
    _predict("a boolean", 422, "inputs[0]", {"inputs": [[True, 0, 0, 0, 0, 0]]}),
    _predict("another boolean", 422, "inputs[0]", {"inputs": [[0, 0, 0, 0, 0, False]]}),
    _predict("a null", 422, "inputs[0]", {"inputs": [[None, 0, 0, 0, 0, 0]]}),
    _predict("above the range", 422, "inputs[1]", {"inputs": [ROW, [1.01, 0, 0, 0, 0, 0]]}),
    _predict("below the range", 422, "inputs[0]", {"inputs": [[-0.01, 0, 0, 0, 0, 0]]}),
    _predict("alpha zero", 422, "alpha", {"inputs": [ROW], "alpha": 0}),
    _predict("alpha one", 422, "alpha", {"inputs": [ROW], "alpha": 1}),
    _predict("alpha huge", 422, "alpha", {"inputs": [ROW], "alpha": 10**18}),
    _predict("alpha a string", 422, "alpha", {"inputs": [ROW], "alpha": "0.1"}),
    _predict("alpha a boolean", 422, "alpha", {"inputs": [ROW], "alpha": True}),
    _predict("fdr zero", 422, "fdr", {"inputs": [ROW], "fdr": 0}),
    _predict("fdr one", 422, "fdr", {"inputs": [ROW], "fdr": 1.0}),
    _predict("fdr a list", 422, "fdr", {"inputs": [ROW], "fdr": [0.1]}),
    _predict("include a string", 422, "include", {"inputs": [ROW], "include": "scores"}),
    _predict("include unknown", 422, "include[1]", {"inputs": [ROW], "include": ["scores", "x"]}),
    _predict("include a number", 422, "include[0]", {"inputs": [ROW], "include": [1]}),
    _predict("coverage unknown", 422, "coverage", {"inputs": [ROW], "coverage": "most"}),
    _predict("coverage a list", 422, "coverage", {"inputs": [ROW], "coverage": ["marginal"]}),
    _predict("one sample", 422, "samples", {"inputs": [ROW], "samples": 1}),
    _predict("samples beyond the most", 422, "samples", {"inputs": [ROW], "samples": 10**30}),
    _predict("samples a string", 422, "samples", {"inputs": [ROW], "samples": "2"}),
    _predict("samples a boolean", 422, "samples", {"inputs": [ROW], "samples": True}),
    _predict("samples a fraction", 422, "samples", {"inputs": [ROW], "samples": 2.5}),
    _predict("too many draws", 422, "samples", {"inputs": [ROW] * MAX_ROWS, "samples": 2}),
    _predict("seed alone", 422, "seed", {"inputs": [ROW], "seed": 1}),
    _predict("seed negative", 422, "seed", {"inputs": [ROW], "samples": 2, "seed": -1}),
    _predict("seed huge", 422, "seed", {"inputs": [ROW], "samples": 2, "seed": 2**63}),
    _predict(
        "sample channel unknown",
        422,
        "sample_channel",
        {"inputs": [ROW], "samples": 2, "sample_channel": "worst"},
    ),
    BadRequest("query on JSON", 422, "query", b'{"inputs": [[0]]}', "/predict?alpha=0.1"),
    BadRequest("no type", 415, "Content-Type", b"{}", headers={}),
    BadRequest("text", 415, "Content-Type", b"{}", headers={"content-type": "text/plain"}),
    BadRequest(
        "pickle",
        415,
        "Content-Type",
        b"\x80\x04.",
        headers={"content-type": "application/vnd.bentoml+pickle"},
    ),
    BadRequest(
        "gzip", 415, "Content-Encoding", b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"}
    ),
    BadRequest("oversized", 413, "body", b" " * (MAX_BODY_BYTES + 1)),
    _octets("no dtype", 422, "dtype", "", b"\0" * 6),
    _octets("unknown dtype", 422, "dtype", "?dtype=float64", b"\0" * 48),
    _octets("samples in words", 422, "samples", "?dtype=uint8&samples=two", b"\0" * 6),
    _octets("coverage in octets", 422, "coverage", "?dtype=uint8&coverage=", b"\0" * 6),
    _octets("empty octets", 422, "body", "?dtype=uint8", b""),
    _octets("broken row", 422, "body", "?dtype=uint8", b"\0" * 7),
    _octets("wrong dtype", 422, "body", "?dtype=float32", b"\0" * 6),
    _octets("too many octet rows", 422, "body", "?dtype=uint8", b"\0" * 6 * (MAX_ROWS + 1)),
    _octets("NaN octets", 422, "body row 0", "?dtype=float32", NAN_F32 * 6),
    _octets("octets out of range", 422, "body row 0", "?dtype=float32", b"\0\0\0\x40" * 6),
    _octets("octets alpha", 422, "alpha", "?dtype=uint8&alpha=nan", b"\0" * 6),
    _octets("octets alpha text", 422, "alpha", "?dtype=uint8&alpha=x", b"\0" * 6),
    _octets("octets fdr", 422, "fdr", "?dtype=uint8&fdr=2", b"\0" * 6),
    _octets("octets fdr text", 422, "fdr", "?dtype=uint8&fdr=", b"\0" * 6),
    _octets("octets include", 422, "include[1]", "?dtype=uint8&include=scores,", b"\0" * 6),
    _octets("octets parameter", 422, "query", "?dtype=uint8&shape=6", b"\0" * 6),
    _feedback("no items", 422, "items", {}),
    _feedback("empty items", 422, "items", {"items": []}),
    _feedback("item not an object", 422, "items[0]", {"items": [1]}),
    _feedback("item member", 422, "items[0]", {"items": [{"label": "a", "x": 1}]}),
    _feedback("item alone", 422, "items[0]", {"items": [{"label": "a"}]}),
    _feedback(
        "item both",
        422,
        "items[0]",
        {"items": [{"label": "a", "input": ROW, "prediction_id": "a"}]},
    ),
    _feedback("no label", 422, "items[0].label", {"items": [{"input": ROW}]}),
    _feedback("bad input", 422, "items[0].input", {"items": [{"label": "a", "input": [1]}]}),
    _feedback(
        "unknown prediction id",
        404,
        "items[0].prediction_id",
        {"items": [{"label": "a", "prediction_id": "nobody-0"}]},
    ),
    _feedback(
        "impossible prediction id",
        422,
        "items[0].prediction_id",
        {"items": [{"label": "a", "prediction_id": "../etc/passwd"}]},
    ),
    _feedback(
        "prediction id a number",
        422,
        "items[0].prediction_id",
        {"items": [{"label": "a", "prediction_id": 1}]},
    ),
    _label("empty", ""),
    _label("too long", "a" * 65),
    _label("a number", 7),
    _label("a space", " "),
    _label("padded", " a"),
    _label("newline", "a\nb"),
    _label("NUL", "a\0b"),
    _label("escape", "\x1b[31m"),
    _label("right-to-left override", "a\u202eb"),
    _label("zero-width space", "a\u200bb"),
    _label("filler", "\u3164"),
    _label("mark first", "\u0301a"),
    _feedback(
        "source right-to-left",
        422,
        "source",
        {"items": [{"input": ROW, "label": "a"}], "source": "a\u202eb"},
    ),
    BadRequest("feedback type", 415, "Content-Type", b"{}", "/feedback", headers=OCTETS),
    BadRequest(
        "empty idempotency key",
        422,
        "Idempotency-Key",
        b"{}",
        "/feedback",
        headers={**JSON, "idempotency-key": ""},
    ),
    BadRequest(
        "long idempotency key",
        422,
        "Idempotency-Key",
        b"{}",
        "/feedback",
        headers={**JSON, "idempotency-key": "k" * 129},
    ),
    BadRequest("unknown feedback", 404, "feedback_id", b"", "/feedback/nobody", "GET"),
    BadRequest("strange feedback", 404, "feedback_id", b"", "/feedback/%00%ff", "GET"),
    BadRequest("unknown path", 404, "path", b"", "/nowhere", "GET"),
    BadRequest("slash too many", 404, "path", b"", "/predict/"),
    BadRequest("BentoML's schema", 404, "path", b"", "/schema.json", "GET"),
    BadRequest("GET predict", 405, "method", b"", "/predict", "GET"),
    BadRequest("PUT feedback", 405, "method", b"{}", "/feedback", "PUT"),
    BadRequest("POST livez", 405, "method", b"", "/livez"),
    BadRequest("DELETE metrics", 405, "method", b"", "/metrics", "DELETE"),
)
