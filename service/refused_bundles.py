"""Which live workers refuse what the pointer names, counted at a scrape."""

import json
from collections import Counter as Tally
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.worker_files import Kind, WorkerFiles


class SwapFailure(StrEnum):
    """Why a bundle was not taken; the values of the label ``reason``."""

    POINTER = "pointer"
    NOT_FOUND = "not_found"
    FORMAT = "format_unsupported"
    DAMAGED = "damaged"
    PROVIDER = "provider"
    SESSION = "session"


class RefusedBundles(Collector):
    """How many live workers refuse the bundle that they ought to serve, for which reason.

    A refusal is counted once; this says how long it lasts.

    Args:
        directory: shared by the workers; each has one file in it. Other files may lie there.
    """

    def __init__(self, directory: Path) -> None:
        self._files = WorkerFiles(directory, Kind.REFUSED, "what is refused")

    def announce(self, reason: SwapFailure | None) -> None:
        """State why this worker refuses a bundle from now on; None for that it refuses none."""
        self._files.write(json.dumps({"reason": reason}))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The family, read from the files of live workers; a sample for every reason."""
        workers = GaugeMetricFamily(
            "rcmvae_bundle_refusing_workers",
            "Workers that refuse the bundle that the pointer names.",
            labels=["reason"],
        )
        refused = Tally(self._files.read(_parse))
        for reason in SwapFailure:
            workers.add_metric([reason.value], refused[reason])
        yield workers


# Files that say nothing are skipped with a warning; one that refuses nothing says so.
_NOTHING = "nothing"


def _parse(content: str) -> str:
    reason = json.loads(content)["reason"]
    return _NOTHING if reason is None else SwapFailure(reason)
