"""GET /drift."""

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.json_response import json_response
from service.runtime import Runtime, runtime_of
from service.schemas import DriftAnswer, DriftQuestion
from service.worker_drift import Question, Reading, WorkerReadings


async def get_drift(request: Request) -> Response:
    """What the workers that serve this worker's bundle know about drift."""
    runtime = runtime_of(request)
    version = runtime.bundles.current().version
    stated = await run_in_threadpool(_stated, runtime)
    workers = [worker for worker in stated if worker.bundle_version == version]
    readings = [reading for worker in workers for reading in worker.readings]
    answer = DriftAnswer(
        bundle_version=version,
        run_length=runtime.settings.drift_run_length,
        window=runtime.settings.drift_window,
        workers=len(workers),
        questions=[
            _joined(question, [reading for reading in readings if reading.question == question])
            for question in Question
        ],
    )
    return json_response(answer)


def _stated(runtime: Runtime) -> list[WorkerReadings]:
    runtime.drift.fold()
    return runtime.metrics.drift.workers()


def _joined(question: Question, readings: Sequence[Reading]) -> DriftQuestion:
    """One question over all workers."""
    since = [r.inputs_since_alarm for r in readings if r.inputs_since_alarm is not None]
    return DriftQuestion(
        question=question,
        drifting=any(reading.drifting for reading in readings),
        evidence=sum(reading.evidence for reading in readings),
        alarms=sum(reading.alarms for reading in readings),
        inputs_since_alarm=min(since, default=None),
        inputs=sum(reading.inputs for reading in readings),
        calibration_inputs=readings[0].calibration_inputs if readings else None,
    )
