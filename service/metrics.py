"""What an operator sees at /metrics, right over several workers and after one of them died.

Under BentoML every worker writes counters and histograms to files in one folder
(``PROMETHEUS_MULTIPROC_DIR``), and a scrape of any worker adds up all of them. Which bundle a
worker serves is no number that adds up: see `served_bundles`.
"""

import logging
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from rcmvae.decision import Decision
from rcmvae.prediction import PredictionBatch
from service.served_bundles import ServedBundles

CONTENT_TYPE = CONTENT_TYPE_LATEST
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MAX_LABELS = 256
OTHER_LABEL = "(other)"

_log = logging.getLogger("bentoml.rcmvae")

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_P_VALUES = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1,
)
_NATS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4, 5)
_SCORES = (0.5, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 32, 50, 100, 200, 500, 1000, 10_000)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class SwapFailure(StrEnum):
    """Why a bundle was not taken; the values of the label ``reason``."""

    POINTER = "pointer"
    NOT_FOUND = "not_found"
    FORMAT = "format_unsupported"
    DAMAGED = "damaged"
    PROVIDER = "provider"
    SESSION = "session"


class Metrics:
    """Every metric of the service; one object a worker.

    Args:
        directory: shared by the workers of one server.
        multiprocess: whether several processes write to files in ``directory``.
    """

    def __init__(self, directory: Path, *, multiprocess: bool) -> None:
        self._directory = directory
        self._multiprocess = multiprocess
        self._registry = registry = CollectorRegistry()
        self._labels_seen: set[str] = set()
        self.served = ServedBundles(directory)
        self._own = CollectorRegistry()
        self._own.register(self.served)
        self.requests = Counter(
            "rcmvae_requests", "HTTP requests.", ["route", "status"], registry=registry
        )
        self.request_duration = Histogram(
            "rcmvae_request_duration_seconds",
            "Time from the request to the end of the response.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.inference_duration = Histogram(
            "rcmvae_inference_duration_seconds",
            "Time of one ONNX Runtime run.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "rcmvae_batch_rows", "Inputs in one run.", buckets=_ROWS, registry=registry
        )
        self.predictions = Counter(
            "rcmvae_predictions", "Inputs answered.", ["decision", "label"], registry=registry
        )
        self.fused_score = Histogram(
            "rcmvae_ood_fused_score",
            "Fused out-of-distribution score, higher is stranger.",
            buckets=_SCORES,
            registry=registry,
        )
        self.p_familiar = Histogram(
            "rcmvae_ood_p_familiar",
            "Conformal p-value of being like the training stream.",
            buckets=_P_VALUES,
            registry=registry,
        )
        self.p_owned = Histogram(
            "rcmvae_ood_p_owned",
            "Conformal p-value of being owned by labelled channels.",
            buckets=_P_VALUES,
            registry=registry,
        )
        self.entropy = Histogram(
            "rcmvae_entropy_nats",
            "Total entropy of the label.",
            buckets=_NATS,
            registry=registry,
        )
        self.feedback = Counter(
            "rcmvae_feedback_items",
            "Feedback items accepted, a repeated request counted again.",
            ["source"],
            registry=registry,
        )
        self.captures_dropped = Counter(
            "rcmvae_captures_dropped",
            "Captured inputs that memory had no room for before they were stored.",
            registry=registry,
        )
        self.swaps = Counter(
            "rcmvae_bundle_swaps", "Bundles taken into service.", registry=registry
        )
        self.swap_failures = Counter(
            "rcmvae_bundle_swap_failures", "Bundles refused.", ["reason"], registry=registry
        )
        self._start_at_zero()

    def observe_batch(
        self, batch: PredictionBatch, decisions: Sequence[Decision], seconds: float
    ) -> None:
        """Count one run of the session and everything that it answered.

        Args:
            batch: N answers.
            decisions: N decisions.
            seconds: how long the run took.
        """
        self.inference_duration.observe(seconds)
        self.batch_rows.observe(len(batch))
        answered = Tally(zip(decisions, batch.predicted, strict=True))
        for (decision, label), count in answered.items():
            self.predictions.labels(decision, self._bounded(label)).inc(count)
        _observe_all(self.p_familiar, batch.p_familiar.tolist())
        _observe_all(self.p_owned, batch.p_owned.tolist())
        _observe_all(self.entropy, batch.uncertainty.total.tolist())
        _observe_all(self.fused_score, batch.scores[:, batch.score_names.index("fused")].tolist())

    def exposition(self) -> bytes:
        """All metrics of all workers in the Prometheus text format; reads files, so blocks."""
        return generate_latest(self._shared()) + generate_latest(self._own)

    def _shared(self) -> CollectorRegistry:
        if not self._multiprocess:
            return self._registry
        registry = CollectorRegistry()
        if not self._directory.is_dir():
            _log.error("the folder of the metrics is gone; nothing is counted until a restart")
            return registry
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call]
        return registry

    def _start_at_zero(self) -> None:
        """Make the known series exist, so that the first event shows as a rate."""
        for reason in SwapFailure:
            self.swap_failures.labels(reason)
        for source in ("prediction_id", "input"):
            self.feedback.labels(source)

    def _bounded(self, label: str) -> str:
        if label not in self._labels_seen:
            if len(self._labels_seen) >= MAX_LABELS:
                return OTHER_LABEL
            self._labels_seen.add(label)
        return label


def _observe_all(histogram: Histogram, values: Iterable[float]) -> None:
    for value in values:
        histogram.observe(value)
