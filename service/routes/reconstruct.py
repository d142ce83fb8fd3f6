"""POST /reconstruct: what the model sees of an input."""

from functools import partial

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.decoding import Reconstruction
from rcmvae.errors import InvalidInput
from service.body import media_type, read_body
from service.candidates_request import count_of
from service.predict_request import parse_predict
from service.runtime import Runtime, runtime_of
from service.served import Served
from service.wire.media_types import JSON

_CHANNELS = "channels"


async def reconstruct(request: Request) -> Response:
    """Decode inputs, given as to POST /predict, by their best channels."""
    runtime = runtime_of(request)
    with runtime.in_flight:
        return await _reconstructed(request, runtime)


async def _reconstructed(request: Request, runtime: Runtime) -> Response:
    settings = runtime.settings
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    served = runtime.bundles.current()
    query = request.query_params
    count = _count(query, served)
    kind, signature = media_type(request), served.manifest.input
    rest = QueryParams([(k, v) for k, v in query.multi_items() if k != _CHANNELS])
    parsed = await runtime.read(
        body, lambda: parse_predict(kind, rest, body, signature, settings.max_rows)
    )
    if len(parsed.x) * count > settings.max_rows:
        expected = f"at most {settings.max_rows} inputs times channels"
        raise InvalidInput(_CHANNELS, expected, f"{len(parsed.x)} times {count}")
    runtime.admission.charge_rows(request, len(parsed.x) * count)
    return Response(
        await runtime.beside(partial(_answer, served, parsed.x, count)), media_type=JSON
    )


def _count(query: QueryParams, served: Served) -> int:
    """How many channels of every input."""
    return count_of(_CHANNELS, query.get(_CHANNELS, "1"), served.manifest.num_channels)


def _answer(served: Served, x: NDArray[np.float32], count: int) -> bytes:
    """`schemas.ReconstructAnswer` as JSON."""
    decoded = served.predictor.reconstruct(x, count)
    rows = [[_decoding(decoded, i, j) for j in range(count)] for i in range(len(x))]
    document = {"bundle_version": served.version, "reconstructions": rows}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _decoding(decoded: Reconstruction, i: int, j: int) -> dict[str, object]:
    """Channel j of input i; `schemas.ChannelDecoding`."""
    return {
        "channel": int(decoded.channel[i, j]),
        "responsibility": float(decoded.responsibility[i, j]),
        "values": decoded.values[i, j],
        "sigma": None if decoded.sigma is None else decoded.sigma[i, j],
    }
