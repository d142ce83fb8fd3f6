"""What an operator sees at /metrics, right over several workers and after one of them died.

Under BentoML every worker writes counters and histograms to files in one folder
(``PROMETHEUS_MULTIPROC_DIR``), and a scrape of any worker adds up all of them. Which bundle a
worker serves, and what it knows about drift, goes with the worker: see `worker_files`.
"""

import logging
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service.backlog import Backlog
from service.backlog_metrics import BacklogMetrics
from service.build_info import BuildInfo
from service.drift_metrics import DriftMetrics
from service.prediction_metrics import PredictionMetrics
from service.queue_metrics import QueueMetrics
from service.refused_bundles import RefusedBundles, SwapFailure
from service.request_metrics import RequestMetrics
from service.served_bundles import ServedBundles
from service.shadow_metrics import ShadowMetrics
from service.shared_drift import Question

CONTENT_TYPE = CONTENT_TYPE_LATEST
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_log = logging.getLogger("bentoml.rcmvae")


# The kinds of problems that tell of overload, attacks and faults.
_REASONS = (
    "body-too-large",
    "deadline",
    "internal",
    "invalid-input",
    "key-invalid",
    "key-missing",
    "queue-full",
    "rate-limit",
    "scope-missing",
    "store-unavailable",
)


class Metrics:
    """Every metric of the service; one object a worker.

    Args:
        directory: shared by the workers of one server.
        multiprocess: whether several processes write to files in ``directory``.
    """

    def __init__(self, directory: Path, *, multiprocess: bool) -> None:
        self._directory = directory
        self._multiprocess = multiprocess
        if not directory.is_dir():
            # Without it a worker ends as it starts, and so does the next one started for it.
            _log.error("the folder of the metrics was gone; the workers from before count no more")
            directory.mkdir(parents=True, exist_ok=True)
        self._registry = registry = CollectorRegistry()
        self.served = ServedBundles(directory)
        self.refused = RefusedBundles(directory)
        self.drift = DriftMetrics(directory, self.served)
        self._own = CollectorRegistry()
        self._own.register(self.served)
        self._own.register(self.refused)
        self._own.register(self.drift)
        self._own.register(BuildInfo())
        self.requests = RequestMetrics(registry)
        self.rejections = Counter(
            "rcmvae_rejected_requests",
            "Requests answered with a problem, by its kind.",
            ["reason"],
            registry=registry,
        )
        self.answers = PredictionMetrics(registry)
        self.queue = QueueMetrics(registry)
        self.feedback = Counter(
            "rcmvae_feedback_items",
            "Feedback items accepted, a repeated request counted again.",
            ["source", "novelty"],
            registry=registry,
        )
        self.captures_dropped = Counter(
            "rcmvae_captures_dropped",
            "Captured inputs that memory had no room for before they were stored.",
            registry=registry,
        )
        self.captures_skipped = Counter(
            "rcmvae_captures_skipped",
            "Inputs that the policy would have captured and the rate had no room for.",
            registry=registry,
        )
        self.swaps = Counter(
            "rcmvae_bundle_swaps", "Bundles taken into service.", registry=registry
        )
        self.swap_failures = Counter(
            "rcmvae_bundle_swap_failures", "Bundles refused.", ["reason"], registry=registry
        )
        self.shadow = ShadowMetrics(registry)
        self.drift_alarms = Counter(
            "rcmvae_drift_alarms",
            "Times that more inputs were strange than the calibration lets expect.",
            ["question"],
            registry=registry,
        )
        self.events_lost = Counter(
            "rcmvae_events_lost",
            "Events that a reader of GET /events was too slow for.",
            registry=registry,
        )
        self._start_at_zero()

    def exposition(self, backlog: Backlog | None = None) -> bytes:
        """All metrics of all workers in the Prometheus text format; reads files, so blocks.

        Args:
            backlog: of the store; None where it does not answer.
        """
        stored = CollectorRegistry()
        stored.register(BacklogMetrics(backlog))
        parts = (self._shared(), self._own, stored)
        return b"".join(generate_latest(registry) for registry in parts)

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
        for kind in _REASONS:
            self.rejections.labels(kind)
        for source in ("prediction_id", "input"):
            for novelty in ("known", "new"):
                self.feedback.labels(source, novelty)
        for question in Question:
            self.drift_alarms.labels(question)
