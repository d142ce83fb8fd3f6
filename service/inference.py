"""One run of the session, measured."""

import time

from rcmvae.prediction import PredictionBatch
from service.drift import DriftWatch
from service.prediction_metrics import PredictionMetrics
from service.question import Question


class Inference:
    """Answers questions; safe to call from several threads.

    Args:
        metrics: what is measured of every run.
        drift: sees the p-values of every run.
    """

    def __init__(self, metrics: PredictionMetrics, drift: DriftWatch) -> None:
        self._metrics = metrics
        self._drift = drift

    def __call__(self, question: Question) -> PredictionBatch:
        """Run one question; blocks."""
        start = time.perf_counter()
        batch = question.served.predictor.predict(
            question.x, coverage=question.coverage, sampling=question.sampling
        )
        self._metrics.observe_run(batch, time.perf_counter() - start)
        self._drift.add(question.served, batch)
        return batch
