"""Watches the p-values of what one worker answers, and says when the traffic has drifted."""

import logging
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.drift import Bets, DriftState, at_start, bets_for, watch
from rcmvae.prediction import PredictionBatch
from service.metrics import Metrics
from service.served import Served
from service.worker_drift import Question, Reading, WorkerReadings

_MOST_WAITING = 8192
"""p-values of so many inputs may wait for the next fold."""

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(slots=True)
class _Watched:
    """The detector of one question over one calibration sample."""

    question: Question
    bets: Bets
    state: DriftState


@dataclass(frozen=True, slots=True)
class _Answered:
    """p-values of one batch, and what answered it."""

    served: Served
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]


class DriftWatch:
    """The detectors of one worker, started anew with every bundle, whose calibration is another.

    An answer costs no more than a place in a list; now and then ``fold`` does the sums.

    Args:
        metrics: counts alarms, and has the readings of all workers.
        run_length: mean number of inputs between two false alarms of a question, at least.
        window: inputs of this worker for which an alarm counts as drift.
    """

    def __init__(self, metrics: Metrics, *, run_length: float, window: int) -> None:
        self._metrics = metrics
        self._run_length = run_length
        self._window = window
        self._waiting: list[_Answered] = []
        self._rows = 0
        self._adding = threading.Lock()
        self._folding = threading.Lock()
        self._served: Served | None = None
        self._watched: tuple[_Watched, ...] = ()

    def add(self, served: Served, batch: PredictionBatch) -> None:
        """Remember the p-values of an answer."""
        with self._adding:
            self._waiting.append(_Answered(served, batch.p_familiar, batch.p_owned))
            self._rows += len(batch)
            is_full = self._rows >= _MOST_WAITING
        if is_full:
            self.fold()

    def fold(self) -> None:
        """Watch what was answered since the last time, and tell the other workers; blocks."""
        with self._folding:
            with self._adding:
                answered, self._waiting, self._rows = self._waiting, [], 0
            if not answered:
                return
            for part in answered:
                self._start_anew_for(part.served)
            own = [part for part in answered if part.served is self._served]
            p_values = (
                np.concatenate([part.p_familiar for part in own]),
                np.concatenate([part.p_owned for part in own]),
            )
            for watched, p in zip(self._watched, p_values, strict=True):
                self._watch(watched, p)
            self._announce()

    def alarmed(self) -> Served | None:
        """What is served since an alarm was raised over it; None where there was none.

        As of the last fold.
        """
        with self._folding:
            raised = any(watched.state.alarms for watched in self._watched)
            return self._served if raised else None

    def _start_anew_for(self, served: Served) -> None:
        """With a newer bundle; what an older one still answered meanwhile is left out."""
        if self._served is None or served.loaded > self._served.loaded:
            calibration = served.predictor.calibration
            sizes = {
                Question.FAMILIAR: len(calibration.fused),
                Question.OWNED: len(calibration.owned),
            }
            self._served = served
            self._watched = tuple(_started(question, size) for question, size in sizes.items())

    def _watch(self, watched: _Watched, p: NDArray[np.float64]) -> None:
        before = watched.state.alarms
        watched.state = watch(watched.state, watched.bets, p, self._run_length)
        raised = watched.state.alarms - before
        if raised:
            self._metrics.drift_alarms.labels(watched.question).inc(raised)
            _log.warning("drift: more inputs than expected are not %s", watched.question)

    def _announce(self) -> None:
        if self._served is not None:
            readings = tuple(self._reading(watched) for watched in self._watched)
            version = self._served.version
            self._metrics.drift.announce(WorkerReadings(bundle_version=version, readings=readings))

    def _reading(self, watched: _Watched) -> Reading:
        state = watched.state
        return Reading(
            question=watched.question,
            calibration_inputs=watched.bets.size,
            inputs=state.inputs,
            alarms=state.alarms,
            inputs_since_alarm=state.since_alarm,
            evidence=state.evidence / self._run_length,
            drifting=state.signals(self._window),
        )


def _started(question: Question, size: int) -> _Watched:
    bets = bets_for(size)
    return _Watched(question, bets, at_start(bets))
