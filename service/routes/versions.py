"""GET /versions, POST /bundle/promote and POST /bundle/rollback."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.bundle import list_versions
from rcmvae.errors import BundleConflict, BundleDamaged, BundleFormatUnsupported, InvalidInput
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobRecord, JobStore, promote, roll_back
from service.access import principal_of
from service.json_body import kind_of
from service.json_response import json_response
from service.predict_request import refuse_unknown
from service.problem import Problem, RequestRefused
from service.retrain_schemas import RetrainJob
from service.routes.retrain import read_json
from service.runtime import runtime_of
from service.versions import read_version, read_versions, unknown_version

Move = Callable[[Path, FeedbackStore, str], JobRecord]

_log = logging.getLogger("bentoml.rcmvae")


async def get_versions(request: Request) -> Response:
    """The versions on disk, or one of them with its whole lineage."""
    query = request.query_params
    refuse_unknown(query, frozenset({"version"}))
    runtime = runtime_of(request)
    moved_to = await runtime.store.run(lambda store: JobStore.of(store).made_current())
    models, version = runtime.settings.models_dir, query.get("version")
    with _from_disk():
        if version is None:
            return json_response(await run_in_threadpool(partial(read_versions, models, moved_to)))
        found = await run_in_threadpool(partial(read_version, models, version, moved_to))
        return json_response(found)


async def post_promote(request: Request) -> Response:
    """Make a version current, such as one that the gate held."""
    version = await _version(request)
    if version is None:
        raise InvalidInput("version", "the name of a version", "nothing")
    return await _moved(request, lambda models, store, by: promote(models, store, version, by))


async def post_rollback(request: Request) -> Response:
    """Make an earlier version current: the parent of the current one where none is named."""
    version = await _version(request)
    return await _moved(request, lambda models, store, by: roll_back(models, store, version, by))


async def _version(request: Request) -> str | None:
    """The version that the body names, if any.

    Raises:
        RequestRefused, InvalidInput: the body does not fit, or there is no such version.
    """
    refuse_unknown(request.query_params, frozenset())
    version = (await read_json(request, frozenset({"version"}))).get("version")
    if version is None:
        return None
    if not isinstance(version, str):
        raise InvalidInput("version", "the name of a version", kind_of(version))
    with _from_disk():
        there = await run_in_threadpool(list_versions, runtime_of(request).settings.models_dir)
    if version not in there:
        raise unknown_version(version)
    return version


@contextmanager
def _from_disk() -> Iterator[None]:
    """What is wrong with a version or the folder is for the log: it names files of the server.

    Raises:
        RequestRefused: 409, the version is damaged; 503, the folder cannot be read or written to.
    """
    try:
        yield
    except (BundleDamaged, BundleFormatUnsupported) as error:
        _log.error("a version cannot be served: %s", error)
        detail = "the version is damaged and cannot be served"
        raise RequestRefused(Problem(409, "bundle-damaged", detail)) from error
    except OSError as error:
        _log.error("the models folder cannot be used: %s", error)
        detail = "this service cannot read the models folder, or may not write to it"
        again = {"Retry-After": "1"}
        raise RequestRefused(Problem(503, "models-unavailable", detail, headers=again)) from error


async def _moved(request: Request, move: Move) -> Response:
    """Move the pointer; the workers follow within the time between two looks."""
    runtime, by = runtime_of(request), principal_of(request).name
    models = runtime.settings.models_dir
    try:
        with _from_disk():
            job = await runtime.store.run(lambda store: move(models, store, by))
    except BundleConflict as error:
        detail = "the pointer moved meanwhile"
        raise RequestRefused(Problem(409, "bundle-conflict", detail)) from error
    return json_response(RetrainJob.of(job))
