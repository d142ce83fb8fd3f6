"""Which bundle each live worker serves: a small file a worker, counted at a scrape."""

import json
import logging
import os
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_PREFIX = "served_"

_log = logging.getLogger("bentoml.rcmvae")


class ServedBundles(Collector):
    """How many live workers serve which bundle.

    Args:
        directory: shared by the workers; each has one file in it. Other files may lie there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._skipped: set[Path] = set()

    def announce(self, version: str, created: datetime) -> None:
        """State what this worker serves from now on; the worker serves it also if it cannot."""
        content = json.dumps({"version": version, "created": created.timestamp()})
        target = self._directory / f"{_PREFIX}{os.getpid()}.json"
        beside = target.with_suffix(".next")
        try:
            beside.write_text(content, encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            _log.error("cannot state in the metrics that %s is served: %s", version, error.strerror)

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
        announced = self._announced()
        for (version, timestamp), count in sorted(Tally(announced).items()):
            workers.add_metric([version], count)
            created.add_metric([version], timestamp)
        yield workers
        yield created

    def _announced(self) -> list[tuple[str, float]]:
        entries = [self._entry(path) for path in self._directory.glob(f"{_PREFIX}*.json")]
        return [entry for entry in entries if entry is not None]

    def _entry(self, path: Path) -> tuple[str, float] | None:
        """What a live worker announced; a dead one's file goes, one of somebody else is skipped."""
        try:
            if _is_alive(int(path.stem.removeprefix(_PREFIX))):
                return _read(path)
            path.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            if path not in self._skipped:
                self._skipped.add(path)
                _log.warning("%s says nothing about a worker and is skipped: %r", path.name, error)
        return None


def _read(path: Path) -> tuple[str, float]:
    entry = json.loads(path.read_text(encoding="utf-8"))
    return str(entry["version"]), float(entry["created"])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
