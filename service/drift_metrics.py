"""What the workers of a server know about drift, as metrics."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.served_bundles import ServedBundles
from service.shared_drift import Question, SharedDrift


class DriftMetrics(Collector):
    """The gauges of drift under the bundle that this worker serves, over all workers.

    Args:
        directory: see ``SharedDrift``.
        served: says which bundle that is.

    Attributes:
        states: what all workers know.
    """

    def __init__(self, directory: Path, served: ServedBundles) -> None:
        self.states = SharedDrift(directory)
        self._served = served

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The two families; a question is there from the start."""
        evidence = GaugeMetricFamily(
            "rcmvae_drift_evidence_ratio",
            "Evidence of drift over all workers; an alarm is raised where it reaches 1.",
            labels=["question"],
        )
        drifting = GaugeMetricFamily(
            "rcmvae_drift_active",
            "1 where an alarm of drift lies within the window.",
            labels=["question"],
        )
        version = self._served.version
        known = None if version is None else self.states.read(version)
        own = {reading.question: reading for reading in known.readings} if known else {}
        for question in Question:
            reading = own.get(question)
            evidence.add_metric([question], reading.evidence if reading else 0.0)
            drifting.add_metric([question], reading is not None and reading.drifting)
        yield evidence
        yield drifting
