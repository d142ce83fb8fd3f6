"""What is sent to the services: one input or 64, as JSON or as bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.wrk import Load

JSON = "application/json"
OCTETS = "application/octet-stream"
BATCH = 64
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request.

    Attributes:
        name: as figures have it.
        rows: inputs in one request.
        full: to our service, which answers with all scores.
        smallest: to our service, which answers with what is always there: id, label, decision,
            p-values and channel.
        smallest_query: of the path of ``smallest``.
        query: of the path of ``full``.
        is_json: whether the body is JSON.
        inputs: as the service reads them from the body, (rows, *shape).
    """

    name: str
    rows: int
    full: Load
    smallest: Load
    query: str
    smallest_query: str
    is_json: bool
    inputs: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and where to.

    Attributes:
        path: on the server, with a query.
        load: what goes there.
    """

    path: str
    load: Load


def cases_of(x: NDArray[np.float32], low: float, high: float) -> tuple[Case, ...]:
    """The four kinds of requests with these inputs.

    Args:
        x: at least `BATCH` inputs, (N, *shape), in [low, high].
        low: of the range.
        high: of the range.
    """
    as_bytes = np.round((x - low) / (high - low) * 255).astype(np.uint8)
    found: list[Case] = []
    for size, rows, connections in (("one", 1, 16), ("batch", BATCH, 4)):
        inputs = np.round(x[:rows].reshape(rows, -1).astype(np.float64), DECIMALS).tolist()
        shape = (rows, *x.shape[1:])
        from_json = np.array(inputs, dtype=np.float32).reshape(shape)
        from_octets = (low + as_bytes[:rows] / 255.0 * (high - low)).astype(np.float32)
        octets = Load(f"{size}_binary", as_bytes[:rows].tobytes(), OCTETS, connections)
        found += [
            Case(
                f"{size}_json",
                rows,
                _json_load(f"{size}_json", {"inputs": inputs}, connections),
                _json_load(f"{size}_json_smallest", {"inputs": inputs, "include": []}, connections),
                query="",
                smallest_query="",
                is_json=True,
                inputs=from_json,
            ),
            Case(
                f"{size}_binary",
                rows,
                octets,
                octets,
                query="?dtype=uint8",
                smallest_query="?dtype=uint8&include=",
                is_json=False,
                inputs=from_octets,
            ),
        ]
    return tuple(found)


def _json_load(name: str, document: Mapping[str, object], connections: int) -> Load:
    return Load(name, json.dumps(document).encode(), JSON, connections)
