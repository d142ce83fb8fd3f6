"""Which bundle each live worker serves, counted at a scrape."""

import json
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.worker_files import Kind, WorkerFiles


class ServedBundles(Collector):
    """How many live workers serve which bundle.

    Args:
        directory: shared by the workers; each has one file in it. Other files may lie there.

    Attributes:
        version: what this worker serves; None before the first.
    """

    def __init__(self, directory: Path) -> None:
        self._files = WorkerFiles(directory, Kind.SERVED, "what is served")
        self.version: str | None = None

    def announce(self, version: str, created: datetime) -> None:
        """State what this worker serves from now on; the worker serves it also if it cannot."""
        self.version = version
        self._files.write(json.dumps({"version": version, "created": created.timestamp()}))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The two families, read from the files of live workers."""
        workers = GaugeMetricFamily(
            "rcmvae_bundle_info", "Workers that serve this bundle.", labels=["bundle_version"]
        )
        created = GaugeMetricFamily(
            "rcmvae_bundle_created_timestamp_seconds",
            "When the bundle was made, in seconds since 1970.",
            labels=["bundle_version"],
        )
        announced = self._files.read(_parse)
        for (version, timestamp), count in sorted(Tally(announced).items()):
            workers.add_metric([version], count)
            created.add_metric([version], timestamp)
        yield workers
        yield created


def _parse(content: str) -> tuple[str, float]:
    entry = json.loads(content)
    return str(entry["version"]), float(entry["created"])
