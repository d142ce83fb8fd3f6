"""GET /docs and /openapi.json; everything comes from this machine, nothing from a CDN."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from service.access import needs_of
from service.openapi import openapi_json
from service.runtime import runtime_of
from service.wire.media_types import JSON

_WEB = Path(__file__).parent.parent / "web"


# Swagger UI sets styles on elements and has its pictures in its style sheet.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def docs(_: Request) -> Response:
    """Swagger UI over /openapi.json."""
    response = _response(_WEB / "docs.html", "text/html")
    response.headers["Content-Security-Policy"] = _DOCS_POLICY
    return response


async def docs_script(_: Request) -> Response:
    """What starts Swagger UI; a file of its own, so that nothing inline has to be allowed."""
    return _response(_WEB / "docs.js", "text/javascript")


async def swagger_script(_: Request) -> Response:
    """Swagger UI's program."""
    return _response(_swagger_folder() / "swagger-ui-bundle.js", "text/javascript")


async def swagger_style(_: Request) -> Response:
    """Swagger UI's style."""
    return _response(_swagger_folder() / "swagger-ui.css", "text/css")


async def openapi(request: Request) -> Response:
    """The OpenAPI document of this service: with keys or without."""
    has_keys = runtime_of(request).settings.keys_file is not None
    return Response(openapi_json(needs_of(request.app.routes), has_keys=has_keys), media_type=JSON)


def _response(path: Path, media_type: str) -> Response:
    """The whole file: Starlette's own file response refuses ranges in plain text."""
    return Response(_content(path), media_type=media_type)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def _swagger_folder() -> Path:
    """The copy of Swagger UI that comes with BentoML."""
    spec = find_spec("bentoml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("Swagger UI comes with bentoml, which is not installed")
    return Path(spec.origin).parent / "_internal" / "server" / "static_content"
