"""Several times as many requests as the service can answer, and then few again."""

from pathlib import Path

import numpy as np

from benchmarks.memory_watch import MemoryWatch
from benchmarks.open_loop import OtherProcess, Phase, Plan, Sent
from benchmarks.server import Server
from benchmarks.serving_case import Case
from benchmarks.soak_scenario import Soaked, capacity, failed, quantile_ms, soon, wire_request

TIMES = 3.0
QUIET_SHARE = 0.7
QUIET_SECONDS = 10.0
_WINDOW = 0.25


def overload(
    server: Server, case: Case, client: OtherProcess, seconds: float, folder: Path
) -> Soaked:
    """Send requests of one kind at `QUIET_SHARE`, `TIMES` and again `QUIET_SHARE` of capacity."""
    most = capacity(server, case, folder)
    quiet = Phase(QUIET_SHARE * most, QUIET_SECONDS)
    phases = (quiet, Phase(TIMES * most, seconds), quiet)
    plan = Plan(server.url, (wire_request(server, case),), (0,), phases, soon())
    with MemoryWatch(server, plan.start) as memory:
        sent = client.offer(plan).result()
    end = QUIET_SECONDS + seconds
    before, during = sent.within(0, QUIET_SECONDS), sent.within(QUIET_SECONDS, end)
    refused = during.of(np.isin(during.status, (429, 503)))
    taken = during.of(during.status == 200)
    name = f"overload_{case.name}"
    figures = {
        f"{name}_capacity_rate": most,
        f"{name}_offered_times": len(during.due) / seconds / most,
        f"{name}_answered_share": len(taken.due) / seconds / most,
        f"{name}_refused": float(len(refused.due)),
        f"{name}_failed": float(failed(during, 200, 429, 503)),
        f"{name}_server_errors": float(
            np.count_nonzero((during.status >= 500) & (during.status != 503))
        ),
        f"{name}_refused_p50_ms": quantile_ms(refused.latency, 0.5),
        f"{name}_refused_p99_ms": quantile_ms(refused.latency, 0.99),
        f"{name}_answered_p99_ms": quantile_ms(taken.latency, 0.99),
        f"{name}_lag_p99_ms": quantile_ms(during.lag, 0.99),
        f"{name}_mb_before": memory.level(0, QUIET_SECONDS),
        f"{name}_mb": memory.level(QUIET_SECONDS, end),
        f"{name}_growth_mb": memory.growth(QUIET_SECONDS, end),
        f"{name}_quiet_p99_ms": quantile_ms(before.latency, 0.99),
        f"{name}_recovery_seconds": recovery(before, sent.within(end, end + QUIET_SECONDS), end),
    }
    return Soaked(name, figures, memory)


def recovery(before: Sent, after: Sent, start: float) -> float:
    """Seconds until requests are answered as before the overload, from then on to the end.

    That is: all with 200, in every quarter of a second, and the median latency there is at most the
    99th percentile of before. NaN where that does not come.
    """
    limit = quantile_ms(before.latency, 0.99)
    windows = np.floor((after.due - start) / _WINDOW).astype(np.int64)
    bad = -1
    for window in range(int(windows.max()) + 1):
        inside = after.of(windows == window)
        if failed(inside, 200) or quantile_ms(inside.latency, 0.5) > limit:
            bad = window
    return float("nan") if bad == windows.max() else (bad + 1) * _WINDOW
