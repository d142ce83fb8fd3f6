"""What is measured of the queue in front of the session."""

from prometheus_client import CollectorRegistry, Histogram

from service.bulk_histogram import BulkHistogram
from service.prediction_metrics import ROWS, SECONDS


class QueueMetrics:
    """Metrics of the micro-batcher.

    Args:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.wait = BulkHistogram(
            "rcmvae_queue_wait_seconds",
            "Time of a request in the queue.",
            buckets=SECONDS,
            registry=registry,
        )
        self.depth = Histogram(
            "rcmvae_queue_depth_rows",
            "Inputs and draws in the queue when a batch is taken.",
            buckets=ROWS,
            registry=registry,
        )
