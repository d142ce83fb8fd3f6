"""Watches the p-values of what one worker answers, and adds them to what all workers know."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.prediction import PredictionBatch
from service.metrics import Metrics
from service.served import Served
from service.shared_drift import DriftRule, Question

_MOST_WAITING = 8192
"""p-values of so many inputs may wait for the next fold."""

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(frozen=True, slots=True)
class _Answered:
    """p-values of one batch, and what answered it."""

    served: Served
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]


class DriftWatch:
    """What one worker does for the detectors that all share; each bundle has its own.

    An answer costs no more than a place in a list; now and then ``fold`` does the sums.

    Args:
        metrics: counts alarms, and has what all workers know.
        run_length: mean number of inputs between two false alarms of a question, at least.
        window: inputs for which an alarm counts as drift.
    """

    def __init__(self, metrics: Metrics, *, run_length: float, window: int) -> None:
        self._metrics = metrics
        self._rule = DriftRule(run_length, window)
        self._waiting: list[_Answered] = []
        self._rows = 0
        self._adding = threading.Lock()
        self._folding = threading.Lock()
        self._served: Served | None = None

    def add(self, served: Served, batch: PredictionBatch) -> None:
        """Remember the p-values of an answer."""
        with self._adding:
            self._waiting.append(_Answered(served, batch.p_familiar, batch.p_owned))
            self._rows += len(batch)
            is_full = self._rows >= _MOST_WAITING
        if is_full:
            self.fold()

    def fold(self) -> None:
        """Watch what was answered since the last time; blocks."""
        with self._folding:
            with self._adding:
                answered, self._waiting, self._rows = self._waiting, [], 0
            for part in answered:
                self._turn_to(part.served)
            own = [part for part in answered if part.served is self._served]
            if self._served is None or not own:
                return
            p_values = (
                np.concatenate([part.p_familiar for part in own]),
                np.concatenate([part.p_owned for part in own]),
            )
            raised = self._metrics.drift.states.add(
                self._served.version, _sizes(self._served), p_values, self._rule
            )
        for question, times in raised.items():
            if times:
                self._metrics.drift_alarms.labels(question).inc(times)
                _log.warning("drift: more inputs than expected are not %s", question)

    def alarmed(self) -> Served | None:
        """What is served since an alarm was raised over it; None where there was none.

        As of the last fold, whichever worker raised it. Reads a file, so blocks.
        """
        served = self._served
        known = None if served is None else self._metrics.drift.states.read(served.version)
        raised = known is not None and any(reading.alarms for reading in known.readings)
        return served if raised else None

    def _turn_to(self, served: Served) -> None:
        """A newer bundle; what an older one still answered meanwhile is left out."""
        before = self._served
        if before is not None and served.loaded <= before.loaded:
            return
        self._served = served
        # Another worker may still be at the bundle before, but at none that is older.
        kept = [served.version] if before is None else [before.version, served.version]
        self._metrics.drift.states.forget_others(kept)


def _sizes(served: Served) -> Mapping[Question, int]:
    calibration = served.predictor.calibration
    return {Question.FAMILIAR: len(calibration.fused), Question.OWNED: len(calibration.owned)}
