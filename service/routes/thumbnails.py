"""GET /thumbnails/{point_id} and GET /thumbnails: pictures of points."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import InvalidInput
from service.etag import etag_of, not_modified
from service.point_inputs import ID_FORM, point_inputs, source_of
from service.points import Source
from service.predict_request import refuse_unknown
from service.problem import quoted, refusal
from service.runtime import runtime_of
from service.served import Served
from service.thumbnail import encode_png, encode_sprite, is_image, sprite_columns
from service.wire.media_types import PNG

MOST_IDS = 256
"""In one sprite; a request line of so many ids has some 7 KB."""

_FOREVER = "private, max-age=31536000, immutable"
_FOR_NOW = "private, max-age=600"


async def get_thumbnail(request: Request) -> Response:
    """One point's input as a PNG."""
    runtime = runtime_of(request)
    refuse_unknown(request.query_params, frozenset())
    served = runtime.bundles.current()
    point_id = str(request.path_params["point_id"])
    require_image(served)
    found = await point_inputs(runtime, served, [point_id])
    if point_id not in found:
        raise refusal(404, "point-not-found", "point_id", ID_FORM, quoted(point_id))
    etag = etag_of([served.manifest.lineage.data_sha256, point_id])
    headers = {"ETag": etag, "Cache-Control": _caching(point_id)}
    unchanged = not_modified(request, etag, headers)
    if unchanged is not None:
        return unchanged
    return Response(encode_png(found[point_id], served.manifest.input), 200, headers, PNG)


async def get_sprite(request: Request) -> Response:
    """The inputs of many points as one PNG, in the order of the ids."""
    runtime = runtime_of(request)
    refuse_unknown(request.query_params, frozenset({"ids"}))
    served = runtime.bundles.current()
    ids = _ids(request.query_params.get("ids", ""))
    require_image(served)
    found = await point_inputs(runtime, served, ids)
    inputs = [found.get(name) for name in ids]
    body = await runtime.beside(partial(encode_sprite, inputs, served.manifest.input))
    height, width = served.manifest.input.shape[-2:]
    headers = {
        "Cache-Control": _FOR_NOW,
        "X-Sprite-Columns": str(sprite_columns(len(ids))),
        "X-Sprite-Cell": f"{width}x{height}",
    }
    return Response(body, 200, headers, PNG)


def _caching(point_id: str) -> str:
    """An id of the store always has the same input; a reference point's belongs to the data."""
    return _FOR_NOW if source_of(point_id) is Source.REFERENCE else _FOREVER


def _ids(text: str) -> list[str]:
    ids = text.split(",") if text else []
    if not 1 <= len(ids) <= MOST_IDS:
        raise InvalidInput("ids", f"1 to {MOST_IDS} ids with commas", f"{len(ids)}")
    for name in ids:
        if source_of(name) is None:
            raise InvalidInput("ids", ID_FORM, quoted(name))
    return ids


def require_image(served: Served) -> None:
    """Refuse a bundle whose inputs are no images.

    Raises:
        RequestRefused: 404.
    """
    if not is_image(served.manifest.input):
        shape = list(served.manifest.input.shape)
        raise refusal(404, "no-image", "bundle", "inputs that are images", f"shape {shape}")
