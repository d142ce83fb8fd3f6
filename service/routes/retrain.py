"""GET /retrain and POST /retrain."""

from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import InvalidInput
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobState, JobStore
from service.access import principal_of
from service.body import media_type, read_body, refuse_media_type
from service.json_body import kind_of, parse_object
from service.json_response import json_response
from service.predict_request import refuse_unknown
from service.problem import quoted
from service.retrain_schemas import (
    AskedMethod,
    RetrainAnswer,
    RetrainJob,
    RetrainReceipt,
    RetrainState,
)
from service.runtime import runtime_of
from service.wire.media_types import JSON

HISTORY = 20


async def get_retrain(request: Request) -> Response:
    """What is being retrained, and what was."""
    refuse_unknown(request.query_params, frozenset())
    return json_response(await runtime_of(request).store.run(_state))


async def post_retrain(request: Request) -> Response:
    """Ask for a job; 202 is sent only after the request is durable."""
    refuse_unknown(request.query_params, frozenset())
    method = _method(await read_json(request, frozenset({"method"})))
    by = principal_of(request).name
    job = await runtime_of(request).store.run(
        lambda store: JobStore.of(store).request(JobMethod(method), JobOrigin.REQUEST, by)
    )
    return json_response(RetrainReceipt(job_id=job.job_id), 202)


async def read_json(request: Request, members: frozenset[str]) -> dict[str, object]:
    """The body as a JSON object of these members; an empty body is an empty object.

    Raises:
        RequestRefused, InvalidInput: it is no such object.
    """
    settings = runtime_of(request).settings
    body = await read_body(
        request, limit=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds
    )
    if not body:
        return {}
    if media_type(request) != JSON:
        raise refuse_media_type(JSON, media_type(request))
    return parse_object(body, members)


def _method(document: dict[str, object]) -> AskedMethod:
    given = document.get("method", AskedMethod.AUTO)
    if not isinstance(given, str) or given not in list(AskedMethod):
        actual = quoted(given) if isinstance(given, str) else kind_of(given)
        raise InvalidInput("method", f"one of {', '.join(AskedMethod)}", actual)
    return AskedMethod(given)


def _state(store: FeedbackStore) -> RetrainAnswer:
    jobs = JobStore.of(store)
    open_jobs = jobs.open_jobs()
    job = _first(open_jobs)
    return RetrainAnswer(
        state=RetrainState.IDLE if job is None else RetrainState(job.state.value),
        job=None if job is None else RetrainJob.of(job),
        history=[RetrainJob.of(past) for past in jobs.newest(HISTORY)],
    )


def _first(open_jobs: tuple[JobRecord, ...]) -> JobRecord | None:
    """The one that runs, or else the oldest."""
    running = (job for job in open_jobs if job.state is JobState.RUNNING)
    return next(running, open_jobs[0] if open_jobs else None)
