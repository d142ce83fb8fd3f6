"""What all workers know about drift, as GET /drift and the events say it."""

from service.drift import DriftWatch
from service.metrics import Metrics
from service.schemas import DriftAnswer, DriftQuestion
from service.served import Served
from service.settings import Settings
from service.shared_drift import Question, Reading
from service.worker_files import is_alive


def drift_answer(
    settings: Settings, metrics: Metrics, drift: DriftWatch, served: Served
) -> DriftAnswer:
    """What is known under a bundle; reads a file, so blocks."""
    drift.fold()
    version = served.version
    known = metrics.drift.states.read(version)
    readings = {reading.question: reading for reading in known.readings} if known else {}
    return DriftAnswer(
        bundle_version=version,
        run_length=settings.drift_run_length,
        window=settings.drift_window,
        workers=sum(map(is_alive, known.workers)) if known else 0,
        questions=[_told(question, readings.get(question)) for question in Question],
    )


def _told(question: Question, reading: Reading | None) -> DriftQuestion:
    return DriftQuestion(
        question=question,
        drifting=reading is not None and reading.drifting,
        evidence=0.0 if reading is None else reading.evidence,
        alarms=0 if reading is None else reading.alarms,
        inputs_since_alarm=None if reading is None else reading.inputs_since_alarm,
        inputs=0 if reading is None else reading.inputs,
        calibration_inputs=None if reading is None else reading.calibration_inputs,
    )
