"""GET / and its assets: the page that is built from web/, files of this package alone."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent.parent / "web" / "page"
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}

# Scripts, styles and connections of this service alone: no eval, nothing inline, no other host.
# Pictures come as blobs, since an <img> cannot send the key.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    Attributes:
        content: its bytes.
        packed: the same, gzipped.
        media_type: for Content-Type.
        etag: changes with the content.
    """

    content: bytes
    packed: bytes
    media_type: str
    etag: str


async def page(request: Request) -> Response:
    """The page; asked for again each time, since its name does not change with its content."""
    return _response(request, _asset(_FOLDER / "index.html"), "no-cache")


async def page_asset(request: Request) -> Response:
    """A script or style, whose name has the hash of its content.

    Raises:
        HTTPException: 404, there is no such file.
    """
    path = _assets().get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return _response(request, _asset(path), "public, max-age=31536000, immutable")


def _response(request: Request, asset: Asset, caching: str) -> Response:
    headers = _HEADERS | {"Cache-Control": caching, "ETag": asset.etag}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers |= {"Content-Encoding": "gzip"}
        return Response(asset.packed, media_type=asset.media_type, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@cache
def _assets() -> dict[str, Path]:
    """Files by name: what is not listed is not opened, whatever a path says."""
    return {path.name: path for path in (_FOLDER / "assets").iterdir()}


@cache
def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(
        content=content,
        packed=gzip.compress(content, mtime=0),
        media_type=_MEDIA_TYPES[path.suffix],
        etag=f'"{sha256(content).hexdigest()[:32]}"',
    )
