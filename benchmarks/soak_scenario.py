"""What the scenarios of `benchmarks.serving_soak` share: requests, capacity, quantiles."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory_watch import MemoryWatch
from benchmarks.open_loop import Sent, post
from benchmarks.server import Server
from benchmarks.serving_case import Case
from benchmarks.wrk import send

CAPACITY_SECONDS = 4
LEAD_SECONDS = 1.0
"""Between now and the first request: for the client's connections."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a scenario found.

    Attributes:
        scenario: its name.
        figures: by name.
        memory: over its time.
    """

    scenario: str
    figures: Mapping[str, float]
    memory: MemoryWatch


def wire_request(server: Server, case: Case) -> bytes:
    """A request of a case to our service, as it goes over the wire."""
    load = case.full
    return post(server.url, f"/predict{case.query}", load.body, load.media_type)


def capacity(server: Server, case: Case, folder: Path) -> float:
    """Requests a second that wrk gets answered as fast as it can, after a second to warm up."""
    url = f"{server.url}/predict{case.query}"
    send(case.full, url, 1, folder)
    return send(case.full, url, CAPACITY_SECONDS, folder).rate


def soon() -> float:
    """A start for a plan."""
    return time.monotonic() + LEAD_SECONDS


def quantile_ms(seconds: NDArray[np.float64], share: float) -> float:
    """A quantile in milliseconds; what has no answer counts as never; NaN of nothing."""
    if not len(seconds):
        return float("nan")
    worst_last = np.sort(np.where(np.isnan(seconds), np.inf, seconds))
    return float(1e3 * worst_last[min(len(seconds) - 1, int(share * len(seconds)))])


def failed(sent: Sent, *allowed: int) -> int:
    """Requests whose status is none of these."""
    return int(np.count_nonzero(~np.isin(sent.status, allowed)))
