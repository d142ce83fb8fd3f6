"""What all workers know about drift, as GET /drift and the events say it."""

from collections.abc import Sequence

from service.drift import DriftWatch
from service.metrics import Metrics
from service.schemas import DriftAnswer, DriftQuestion
from service.served import Served
from service.settings import Settings
from service.worker_drift import Question, Reading


def drift_answer(
    settings: Settings, metrics: Metrics, drift: DriftWatch, served: Served
) -> DriftAnswer:
    """The readings of the workers that serve a bundle, added up; reads files, so blocks."""
    drift.fold()
    version = served.version
    workers = [each for each in metrics.drift.workers() if each.bundle_version == version]
    readings = [reading for worker in workers for reading in worker.readings]
    return DriftAnswer(
        bundle_version=version,
        run_length=settings.drift_run_length,
        window=settings.drift_window,
        workers=len(workers),
        questions=[
            _joined(question, [reading for reading in readings if reading.question == question])
            for question in Question
        ],
    )


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
