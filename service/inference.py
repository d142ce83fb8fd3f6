"""Runs of the session for a question, measured."""

import time

import numpy as np
from numpy.typing import NDArray

from rcmvae.prediction import PredictionBatch
from service.drift import DriftWatch
from service.prediction_metrics import PredictionMetrics
from service.question import Question
from service.shadow import Shadow


class Inference:
    """Answers questions; safe to call from several threads.

    Args:
        metrics: what is measured of every run.
        drift: sees the p-values of every run.
        most_rows: of one run. A run takes memory by its rows, and the session keeps what its
            largest run took.
        shadow: sees every run too; None for nobody.
    """

    def __init__(
        self,
        metrics: PredictionMetrics,
        drift: DriftWatch,
        most_rows: int,
        shadow: Shadow | None = None,
    ) -> None:
        self._metrics = metrics
        self._drift = drift
        self._most_rows = most_rows
        self._shadow = shadow

    def __call__(self, question: Question) -> PredictionBatch:
        """Run one question; blocks."""
        starts = range(0, len(question.x), self._most_rows)
        runs = [self._run(question, question.x[i : i + self._most_rows]) for i in starts]
        return runs[0] if len(runs) == 1 else PredictionBatch.concatenate(runs)

    def _run(self, question: Question, x: NDArray[np.float32]) -> PredictionBatch:
        start = time.perf_counter()
        batch = question.served.predictor.predict(
            x, coverage=question.coverage, sampling=question.sampling
        )
        self._metrics.observe_run(batch, time.perf_counter() - start)
        self._drift.add(question.served, batch)
        if self._shadow is not None:
            self._shadow.add(question.served, x, batch)
        return batch
