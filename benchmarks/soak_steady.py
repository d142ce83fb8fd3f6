"""Minutes at a share of what the service can do: no error, flat memory."""

from pathlib import Path

from benchmarks.memory_watch import MemoryWatch
from benchmarks.open_loop import OtherProcess, Phase, Plan
from benchmarks.server import Server
from benchmarks.serving_case import Case
from benchmarks.soak_scenario import Soaked, capacity, failed, quantile_ms, soon, wire_request

SHARE = 0.7


def steady(
    server: Server, case: Case, client: OtherProcess, seconds: float, folder: Path
) -> Soaked:
    """Send requests of one kind at `SHARE` of the capacity."""
    most = capacity(server, case, folder)
    phases = (Phase(SHARE * most, seconds),)
    plan = Plan(server.url, (wire_request(server, case),), (0,), phases, soon())
    with MemoryWatch(server, plan.start) as memory:
        sent = client.offer(plan).result()
    figures = {
        "steady_capacity_rate": most,
        "steady_rate": len(sent.due) / seconds,
        "steady_failed": float(failed(sent, 200)),
        "steady_p50_ms": quantile_ms(sent.latency, 0.5),
        "steady_p99_ms": quantile_ms(sent.latency, 0.99),
        "steady_lag_p99_ms": quantile_ms(sent.lag, 0.99),
        "steady_mb": memory.level(0, seconds),
        "steady_growth_mb": memory.growth(0, seconds),
    }
    return Soaked("steady", figures, memory)
