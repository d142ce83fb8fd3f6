"""Bundle swaps under load: none fails, every reply is of one version, and latency stays."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.memory_watch import MemoryWatch
from benchmarks.open_loop import OtherProcess, Phase, Plan, Sent
from benchmarks.server import Server
from benchmarks.serving_case import Case
from benchmarks.soak_scenario import Soaked, capacity, failed, quantile_ms, soon, wire_request
from rcmvae.bundle import move_pointer

SHARE = 0.4
SINGLES = 15
"""Requests of one input for each request of a batch: only a batch can be of two versions."""

TOLERANCE = 1e-3
"""Of probabilities and places, which depend a little on what ran beside a row."""

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class OneVersion:
    """Judges answers: they say a version, and every row is what that version says when it is quiet.

    Attributes:
        expected: by version, for each kind of request: probabilities and place of every row, one
            row of numbers each.
    """

    expected: Mapping[str, tuple[NDArray[np.float64], ...]]

    def __call__(self, kind: int, body: bytes) -> bool:
        """Whether an answer is right."""
        version, rows = read_rows(body)
        expected = self.expected.get(version)
        return (
            expected is not None
            and rows.shape == expected[kind].shape
            and bool(np.allclose(rows, expected[kind], rtol=0.0, atol=TOLERANCE))
        )


def read_rows(body: bytes) -> tuple[str, NDArray[np.float64]]:
    """Version and rows of numbers of an answer of POST /predict."""
    document = orjson.loads(body)
    rows = [
        [*prediction["probabilities"].values(), *prediction["position"]]
        for prediction in document["predictions"]
    ]
    return document["bundle_version"], np.array(rows, dtype=np.float64)


def swaps(
    server: Server,
    models: Path,
    versions: Sequence[str],
    cases: Sequence[Case],
    client: OtherProcess,
    count: int,
    pause: float,
    folder: Path,
) -> Soaked:
    """Move the pointer again and again while requests come in, and the same without.

    Args:
        server: with any number of workers.
        models: its folder of bundles.
        versions: two of them, the first is current.
        cases: one input and a batch, in any form.
        client: sends.
        count: of the swaps, an even number.
        pause: seconds between two.
        folder: for wrk.
    """
    single, batch = cases
    judge = OneVersion({v: expected(server, models, v, cases) for v in reversed(versions)})
    require_difference(judge)
    rates = [capacity(server, case, folder) for case in (single, batch)]
    mixed = (SINGLES + 1) / (SINGLES / rates[0] + 1 / rates[1])
    # As long without swaps as with them, half before and half after, in a run of the same client.
    moving = count * pause
    phases = tuple(Phase(SHARE * mixed, seconds) for seconds in (moving / 2, moving, moving / 2))
    requests = tuple(wire_request(server, case) for case in cases)
    kinds = (0,) * SINGLES + (1,)
    plan = Plan(server.url, requests, kinds, phases, soon(), judge=judge)
    before = taken(server)
    with MemoryWatch(server, plan.start) as memory:
        sending = client.offer(plan)
        for number in range(count):
            _sleep_until(plan.start + moving / 2 + number * pause)
            move_pointer(models, versions[number % 2], versions[(number + 1) % 2])
        sent = sending.result()
    with_swaps = sent.within(moving / 2, 1.5 * moving)
    without = sent.of((sent.due < moving / 2) | (sent.due >= 1.5 * moving))
    figures = {
        "swaps": float(count),
        "swaps_by_workers": taken(server) - before,
        "swaps_rate": SHARE * mixed,
        "swaps_failed": float(failed(sent, 200)),
        "swaps_wrong": float(np.count_nonzero(~sent.right)),
        "swaps_lag_p99_ms": quantile_ms(sent.lag, 0.99),
        "swaps_growth_mb": memory.growth(moving / 2, 1.5 * moving),
    }
    for kind, case in enumerate(cases):
        figures |= _compared(case.name, _of_kind(with_swaps, kind), _of_kind(without, kind))
    return Soaked("swaps", figures, memory)


def _of_kind(sent: Sent, kind: int) -> Sent:
    return sent.of(sent.kind == kind)


def _compared(name: str, with_swaps: Sent, without: Sent) -> dict[str, float]:
    p99 = [quantile_ms(sent.latency, 0.99) for sent in (with_swaps, without)]
    return {
        f"swaps_{name}_p99_ms": p99[0],
        f"swaps_{name}_p99_without_ms": p99[1],
        f"swaps_{name}_p99_ratio": p99[0] / p99[1],
        f"swaps_{name}_most_ms": quantile_ms(with_swaps.latency, 1.0),
    }


def expected(
    server: Server, models: Path, version: str, cases: Sequence[Case]
) -> tuple[NDArray[np.float64], ...]:
    """What a version answers when nothing else is asked; it is current afterwards.

    Raises:
        SystemExit: it is not served in time.
    """
    current = httpx.get(f"{server.url}/bundle").json()["bundle_version"]
    if current != version:
        move_pointer(models, current, version)
    return tuple(_quiet(server, version, case) for case in cases)


def _quiet(server: Server, version: str, case: Case) -> NDArray[np.float64]:
    end = time.monotonic() + _PATIENCE
    headers = {"Content-Type": case.full.media_type}
    while True:
        url = f"{server.url}/predict{case.query}"
        reply = httpx.post(url, content=case.full.body, headers=headers)
        found, rows = read_rows(reply.raise_for_status().content)
        if found == version:
            return rows
        if time.monotonic() > end:
            raise SystemExit(f"expected {version} to be served within {_PATIENCE:g} s, got {found}")
        time.sleep(0.1)


def require_difference(judge: OneVersion) -> None:
    """A judge that could not tell the versions apart would find nothing wrong ever.

    Raises:
        SystemExit: some row is the same in both.
    """
    first, second = judge.expected.values()
    for one, other in zip(first, second, strict=True):
        apart = np.abs(one - other).max(axis=1)
        if apart.min() <= 2 * TOLERANCE:
            raise SystemExit(f"expected versions that differ in every row, got {apart.min():g}")


def taken(server: Server) -> float:
    """Swaps that workers have made so far."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    name = "rcmvae_bundle_swaps_total"
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
