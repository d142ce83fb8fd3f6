"""GET /versions."""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.jobs import JobStore
from service.json_response import json_response
from service.predict_request import refuse_unknown
from service.runtime import runtime_of
from service.versions import promoted_versions, read_version, read_versions


async def get_versions(request: Request) -> Response:
    """The versions on disk, or one of them with its whole lineage."""
    query = request.query_params
    refuse_unknown(query, frozenset({"version"}))
    runtime = runtime_of(request)
    promoted = await runtime.store.run(lambda store: promoted_versions(JobStore.of(store)))
    models, version = runtime.settings.models_dir, query.get("version")
    if version is None:
        return json_response(await run_in_threadpool(partial(read_versions, models, promoted)))
    found = await run_in_threadpool(partial(read_version, models, version, promoted))
    return json_response(found)
