"""GET /drift."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.drift_answer import drift_answer
from service.json_response import json_response
from service.runtime import runtime_of


async def get_drift(request: Request) -> Response:
    """What the workers that serve this worker's bundle know about drift."""
    runtime = runtime_of(request)
    served = runtime.bundles.current()
    work = partial(drift_answer, runtime.settings, runtime.metrics, runtime.drift, served)
    return json_response(await run_in_threadpool(work))
