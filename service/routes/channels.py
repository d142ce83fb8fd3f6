"""GET /channels and GET /channels/{channel}/image: what the channels stand for."""

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import InvalidInput
from rcmvae.label_map import free_channels
from service.etag import etag_of, not_modified, revalidated
from service.json_response import json_response
from service.predict_request import refuse_unknown
from service.problem import quoted, refusal
from service.routes.thumbnails import require_image
from service.runtime import runtime_of
from service.sampling_request import digits, parse_seed
from service.schemas import ChannelsAnswer, ChannelState
from service.served import Served
from service.thumbnail import encode_png
from service.wire.media_types import PNG

KINDS = ("mean", "sample")
_LEAST_EVIDENCE = 0.005
"""Of a label in a channel, in examples: less is the far end of a softmax."""


async def get_channels(request: Request) -> Response:
    """Every channel of the current bundle."""
    refuse_unknown(request.query_params, frozenset())
    runtime = runtime_of(request)
    served = runtime.bundles.current()
    return json_response(await runtime.beside(lambda: _channels(served)))


async def get_channel_image(request: Request) -> Response:
    """A channel decoded at the mean of its prior, or at a draw from it."""
    query = request.query_params
    refuse_unknown(query, frozenset({"kind", "seed"}))
    served = runtime_of(request).bundles.current()
    channel = _channel(str(request.path_params["channel"]), served)
    kind = query.get("kind", "mean")
    if kind not in KINDS:
        raise InvalidInput("kind", " or ".join(KINDS), quoted(kind))
    seed = parse_seed(digits(query.get("seed")))
    require_image(served)
    etag = etag_of([served.version, channel, kind, seed])
    headers = revalidated(etag)
    unchanged = not_modified(request, etag, headers)
    if unchanged is not None:
        return unchanged
    decoded = served.predictor.decoder.imagine(channel, seed if kind == "sample" else None)
    return Response(encode_png(decoded.values[0], served.manifest.input), 200, headers, PNG)


def _channel(text: str, served: Served) -> int:
    count = served.manifest.num_channels
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(count))
    if not is_number or int(text) >= count:
        expected = f"a channel, 0 to {count - 1}"
        raise refusal(404, "channel-not-found", "channel", expected, quoted(text))
    return int(text)


def _channels(served: Served) -> ChannelsAnswer:
    label_map, labels = served.label_map, served.manifest.labels
    counts, tau = label_map.counts, label_map.tau
    free = free_channels(label_map, served.predictor.calibration.free_mass)
    placement, reference = served.predictor.placement, served.reference
    count = label_map.num_channels
    usage, points = np.zeros(count), np.zeros(count, dtype=np.int64)
    if reference is not None:
        usage = reference.usage
        points = np.bincount(reference.points.scores["channel"], minlength=count)
    return ChannelsAnswer(
        bundle_version=served.version,
        channels=[
            ChannelState(
                channel=k,
                usage=float(usage[k]),
                free=bool(free[k]),
                label=None if free[k] else labels[int(counts[k].argmax())],
                evidence={
                    name: float(amount)
                    for name, amount in zip(labels, counts[k], strict=True)
                    if amount >= _LEAST_EVIDENCE
                },
                tau=dict(zip(labels, tau[k].tolist(), strict=True)),
                position=None if placement is None else placement.anchor[k].tolist(),
                points=int(points[k]),
            )
            for k in range(count)
        ],
    )
