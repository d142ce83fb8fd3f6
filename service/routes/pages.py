"""GET /, /docs and /openapi.json; everything comes from this machine, nothing from a CDN."""

from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from service.openapi import openapi_json

_WEB = Path(__file__).parent.parent / "web"
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


async def landing(_: Request) -> Response:
    """What runs here, and where to go on."""
    return FileResponse(_WEB / "index.html")


async def docs(_: Request) -> Response:
    """Swagger UI over /openapi.json."""
    return FileResponse(_WEB / "docs.html")


async def swagger_script(_: Request) -> Response:
    """Swagger UI's program."""
    return FileResponse(_swagger_folder() / _SWAGGER_FILES[0])


async def swagger_style(_: Request) -> Response:
    """Swagger UI's style."""
    return FileResponse(_swagger_folder() / _SWAGGER_FILES[1])


async def openapi(_: Request) -> Response:
    """The OpenAPI document."""
    return Response(openapi_json(), media_type="application/json")


def _swagger_folder() -> Path:
    """The copy of Swagger UI that comes with BentoML."""
    spec = find_spec("bentoml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("Swagger UI comes with bentoml, which is not installed")
    return Path(spec.origin).parent / "_internal" / "server" / "static_content"
