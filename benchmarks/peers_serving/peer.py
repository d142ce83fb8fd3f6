"""The other services: how each is started, what it is sent, and how its answer is read."""

import json
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving_case import JSON, OCTETS, Case, Request
from benchmarks.wrk import Load

BOUNDARY = "rcmvae-boundary"
HEADER_LENGTH = "Inference-Header-Content-Length"
_MODULES = "benchmarks.peers_serving"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peer:
    """A service over the graphs of `benchmarks.peers_serving.model`.

    Attributes:
        name: as figures have it, and the lock of its packages.
        module: and what follows it, for ``python -m``, with the placeholders of `launched`.
        request: what it is sent for a kind of graph and a case; None where it has no such form.
        read: an output by its name, (rows, numbers), from the body of an answer.
        ready: path that answers 200 once it can be asked.
        environment: what it needs beside the graphs.
    """

    name: str
    module: Sequence[str]
    request: Callable[[str, Case], Request | None]
    read: Callable[[bytes, str], Array]
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


def _fastapi(kind: str, case: Case) -> Request:
    return Request(f"/{kind}" if case.is_json else f"/{kind}/binary", case.full)


def _bentoml(kind: str, case: Case) -> Request | None:
    return _json(case, f"bentoml_{kind}", f"/{kind}", {"x": _rows(case)}) if case.is_json else None


def _litserve(kind: str, case: Case) -> Request:
    if case.is_json:
        return Request(f"/{kind}", case.full)
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="inputs"; filename="inputs"\r\n'
        f"Content-Type: {OCTETS}\r\n\r\n"
    )
    body = head.encode() + case.full.body + f"\r\n--{BOUNDARY}--\r\n".encode()
    media_type = f"multipart/form-data; boundary={BOUNDARY}"
    name = f"litserve_{case.name}"
    return Request(f"/{kind}", Load(name, body, media_type, case.full.connections))


def _mlserver(kind: str, case: Case) -> Request | None:
    return _protocol(case, "mlserver", kind) if case.is_json else None


def _pytriton(kind: str, case: Case) -> Request:
    if case.is_json:
        return _protocol(case, "pytriton", kind)
    octets = case.full.body
    tensor = {
        "name": "x",
        "shape": [case.rows, len(octets) // case.rows],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": len(octets)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = ((HEADER_LENGTH, str(len(head))),)
    load = Load(f"pytriton_{case.name}", head + octets, OCTETS, case.full.connections, headers)
    return Request(f"/v2/models/{kind}_bytes/infer", load)


def _protocol(case: Case, name: str, kind: str) -> Request:
    """JSON of the Open Inference Protocol."""
    rows = _rows(case)
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": data}
    return _json(case, name, f"/v2/models/{kind}/infer", {"inputs": [tensor]})


def _rows(case: Case) -> list[list[float]]:
    rows: list[list[float]] = json.loads(case.full.body)["inputs"]
    return rows


def _json(case: Case, name: str, path: str, document: Mapping[str, object]) -> Request:
    body = json.dumps(document).encode()
    return Request(path, Load(f"{name}_{case.name}", body, JSON, case.full.connections))


def _read_columns(body: bytes, output: str) -> Array:
    return np.array(json.loads(body)[output], dtype=np.float64)


def _read_bentoml(body: bytes, output: str) -> Array:
    rows = json.loads(body)
    # The logits are the whole answer; a full one is a record for each row.
    return np.array(rows if output == "logits" else [row[output] for row in rows], dtype=np.float64)


def _read_protocol(body: bytes, output: str) -> Array:
    """Of the Open Inference Protocol: data in the JSON, or as bytes behind it."""
    document, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    for tensor in document["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size", 0)
        if tensor["name"] == output:
            data = np.frombuffer(body[end : end + size], np.float32) if size else tensor["data"]
            return np.asarray(data, dtype=np.float64).reshape(tensor["shape"])
        end += size
    raise KeyError(output)


def _own(name: str, *ports: str) -> tuple[str, ...]:
    return f"{_MODULES}.{name}_service", *ports


FASTAPI = Peer(
    "fastapi",
    ("uvicorn", f"{_MODULES}.fastapi_service:app", "--no-access-log", "--port", "{port}"),
    _fastapi,
    _read_columns,
    "/readyz",
)
BENTOML = Peer(
    "bentoml",
    ("bentoml", "serve", f"{_MODULES}.bentoml_service:Encoder", "--port", "{port}"),
    _bentoml,
    _read_bentoml,
    "/readyz",
)
LITSERVE = Peer("litserve", _own("litserve", "{port}"), _litserve, _read_columns, "/health")
MLSERVER = Peer(
    "mlserver",
    _own("mlserver", "{port}", "{second_port}"),
    _mlserver,
    _read_protocol,
    "/v2/models/full/ready",
)
PYTRITON = Peer(
    "pytriton",
    _own("pytriton", "{port}", "{second_port}"),
    _pytriton,
    _read_protocol,
    # Bound last.
    "/v2/models/full_bytes/ready",
    # Triton's stub takes the first libpython that the loader finds, and this Python's own modules:
    # they must be of one version.
    {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))},
)
PEERS = {peer.name: peer for peer in (FASTAPI, BENTOML, LITSERVE, MLSERVER, PYTRITON)}
