"""GET /livez, /readyz and /metrics."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.json_response import json_response
from service.metrics import CONTENT_TYPE
from service.runtime import runtime_of
from service.schemas import HealthAnswer


async def livez(_: Request) -> Response:
    """The event loop turns."""
    return json_response(HealthAnswer(status="alive"))


async def readyz(request: Request) -> Response:
    """A bundle is served; 503 until then."""
    served = runtime_of(request).bundles.current()
    return json_response(HealthAnswer(status="ready", bundle_version=served.version))


async def metrics(request: Request) -> Response:
    """All metrics of all workers, and what waits in the store."""
    runtime = runtime_of(request)
    backlog = await runtime.backlog.read()
    exposition = await run_in_threadpool(runtime.metrics.exposition, backlog)
    return Response(exposition, media_type=CONTENT_TYPE)
