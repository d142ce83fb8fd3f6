"""What each live worker knows about drift, added up at a scrape and for GET /drift."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict

from service.worker_files import Kind, WorkerFiles


class Question(StrEnum):
    """The question whose p-values are watched."""

    FAMILIAR = "familiar"
    OWNED = "owned"


class Reading(BaseModel):
    """One question at one worker, since it took its bundle into service.

    Attributes:
        question: which.
        calibration_inputs: size of the calibration sample behind the p-values.
        inputs: seen.
        alarms: raised.
        inputs_since_alarm: seen since the last alarm; None before the first.
        evidence: of the detector, as a share of what raises an alarm.
        drifting: whether an alarm lies within the window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Question
    calibration_inputs: int
    inputs: int
    alarms: int
    inputs_since_alarm: int | None
    evidence: float
    drifting: bool


class WorkerReadings(BaseModel):
    """All questions at one worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle_version: str
    readings: tuple[Reading, ...]


class WorkerDrift(Collector):
    """The readings of live workers.

    Args:
        directory: shared by the workers; each has one file in it. Other files may lie there.
    """

    def __init__(self, directory: Path) -> None:
        self._files = WorkerFiles(directory, Kind.DRIFT, "about drift")

    def announce(self, readings: WorkerReadings) -> None:
        """State what this worker knows."""
        self._files.write(readings.model_dump_json())

    def workers(self) -> list[WorkerReadings]:
        """What the live workers stated last; reads files, so blocks."""
        return self._files.read(WorkerReadings.model_validate_json)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The two families; a question is there from the start."""
        evidence = GaugeMetricFamily(
            "rcmvae_drift_evidence_ratio",
            "Evidence of drift over all live workers; an alarm is raised where one reaches 1.",
            labels=["question"],
        )
        drifting = GaugeMetricFamily(
            "rcmvae_drift_workers",
            "Live workers that raised an alarm within the window.",
            labels=["question"],
        )
        readings = [reading for worker in self.workers() for reading in worker.readings]
        for question in Question:
            own = [reading for reading in readings if reading.question == question]
            evidence.add_metric([question], sum(reading.evidence for reading in own))
            drifting.add_metric([question], sum(reading.drifting for reading in own))
        yield evidence
        yield drifting
