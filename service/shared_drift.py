"""What all workers of a server know about drift: one detector a question, in a file they share."""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rcmvae.drift import DriftState, at_start, bets_for, watch

_LOCK = "drift.lock"
_log = logging.getLogger("bentoml.rcmvae")


class Question(StrEnum):
    """The question whose p-values are watched."""

    FAMILIAR = "familiar"
    OWNED = "owned"


@dataclass(frozen=True, slots=True)
class DriftRule:
    """When there is an alarm, and how long it counts.

    Attributes:
        run_length: mean number of inputs between two false alarms of a question, at least.
        window: inputs for which an alarm counts as drift.
    """

    run_length: float
    window: int


class Reading(BaseModel):
    """One question under one bundle.

    Attributes:
        question: which.
        calibration_inputs: size of the calibration sample behind the p-values.
        sums: of every bet, see ``rcmvae.drift.DriftState``.
        inputs: seen.
        alarms: raised.
        inputs_since_alarm: seen since the last alarm; None before the first.
        evidence: as a share of what raises an alarm.
        drifting: whether an alarm lies within the window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Question
    calibration_inputs: int
    sums: tuple[float, ...]
    inputs: int = 0
    alarms: int = 0
    inputs_since_alarm: int | None = None
    evidence: float = 0.0
    drifting: bool = False

    @classmethod
    def at_start(cls, question: Question, size: int) -> "Reading":
        """Of a detector that has seen nothing, over a calibration sample of ``size`` inputs."""
        sums = tuple(at_start(bets_for(size)).sums.tolist())
        return cls(question=question, calibration_inputs=size, sums=sums)

    def after(self, p_values: NDArray[np.float64], rule: DriftRule) -> "Reading":
        """The detector that has seen more p-values, (B,)."""
        before = DriftState(np.array(self.sums), self.inputs, self.alarms, self.inputs_since_alarm)
        state = watch(before, bets_for(self.calibration_inputs), p_values, rule.run_length)
        return Reading(
            question=self.question,
            calibration_inputs=self.calibration_inputs,
            sums=tuple(state.sums.tolist()),
            inputs=state.inputs,
            alarms=state.alarms,
            inputs_since_alarm=state.since_alarm,
            evidence=state.evidence / rule.run_length,
            drifting=state.signals(rule.window),
        )


class Readings(BaseModel):
    """All questions under one bundle.

    Attributes:
        bundle_version: whose calibration samples they are.
        workers: process ids of those that have added to them.
        readings: one for every question.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle_version: str
    workers: tuple[int, ...]
    readings: tuple[Reading, ...]


class SharedDrift:
    """The detectors of a server: a small file for every bundle, changed under a lock.

    So the evidence of all workers is one, and what a worker has added stays when it dies. A file
    that cannot be written is logged once in a row; what came meanwhile is then not watched.

    Args:
        directory: shared by the workers of one server. Other files may lie there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writes = True

    def read(self, version: str) -> Readings | None:
        """What is known under a bundle; None before the first answer. Reads a file, so blocks."""
        try:
            return Readings.model_validate_json(self._path(version).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("what is known about drift is lost, and starts anew: %r", error)
            return None

    def add(
        self,
        version: str,
        sizes: Mapping[Question, int],
        p_values: Sequence[NDArray[np.float64]],
        rule: DriftRule,
    ) -> Mapping[Question, int]:
        """Let the detectors of a bundle see more p-values; how many alarms each raised. Blocks.

        Args:
            version: of the bundle.
            sizes: of its calibration samples, for every question.
            p_values: (B,) for every question, in the order of ``sizes``.
            rule: of the alarms.
        """
        try:
            with self._locked():
                before = self.read(version)
                if before is None or not _fits(before, sizes):
                    start = (Reading.at_start(question, size) for question, size in sizes.items())
                    before = Readings(bundle_version=version, workers=(), readings=tuple(start))
                pairs = zip(before.readings, p_values, strict=True)
                after = tuple(reading.after(p, rule) for reading, p in pairs)
                workers = tuple(sorted({*before.workers, os.getpid()}))
                self._write(Readings(bundle_version=version, workers=workers, readings=after))
        except OSError as error:
            if self._writes:
                _log.error("drift is not watched: %s", error.strerror)
            self._writes = False
            return dict.fromkeys(sizes, 0)
        self._writes = True
        pairs_of_readings = zip(before.readings, after, strict=True)
        return {new.question: new.alarms - old.alarms for old, new in pairs_of_readings}

    def forget_others(self, versions: Sequence[str]) -> None:
        """Remove what is known under other bundles than these."""
        kept = {self._path(version) for version in versions}
        for path in self._directory.glob("drift_*.json"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _write(self, readings: Readings) -> None:
        target = self._path(readings.bundle_version)
        beside = target.with_suffix(".next")
        beside.write_text(readings.model_dump_json(), encoding="utf-8")
        beside.replace(target)

    def _path(self, version: str) -> Path:
        return self._directory / f"drift_{version}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among threads and processes; the kernel frees it when the process dies."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._directory / _LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _fits(readings: Readings, sizes: Mapping[Question, int]) -> bool:
    return {r.question: r.calibration_inputs for r in readings.readings} == dict(sizes)
