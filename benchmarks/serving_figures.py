"""What a round of `benchmarks.serving` says: rates, and their ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.contestant import OURS
from benchmarks.peers_serving.peer import FASTAPI
from benchmarks.result import Figure
from benchmarks.serving_case import Case

BASE = FASTAPI.name
"""What all ratios are to: the encoder alone behind FastAPI."""
FULL_BASE = f"{BASE}_full"


@dataclass(frozen=True, slots=True)
class Measured:
    """One service and one kind of request in one round.

    Attributes:
        rate: requests a second.
        cpu_us: CPU microseconds of all processes of the service, a request.
        p99_ms: 99th percentile of latency.
    """

    rate: float
    cpu_us: float
    p99_ms: float


def round_figures(
    measured: Mapping[tuple[str, str], Measured], cases: Sequence[Case]
) -> dict[str, float]:
    """Ratios of one round, and what they come from.

    Args:
        measured: by name of the contestant and of the case.
        cases: all of them.
    """
    figures = {
        f"{case.name}_ratio": measured[OURS, case.name].rate / measured[BASE, case.name].rate
        for case in cases
    }
    figures |= {
        f"full_{case.name}_ratio": measured[OURS, case.name].rate
        / measured[FULL_BASE, case.name].rate
        for case in cases
        if (FULL_BASE, case.name) in measured
    }
    one, peer = (measured[name, "one_json"] for name in (OURS, BASE))
    figures["p99_ratio"] = one.p99_ms / peer.p99_ms
    figures["cpu_ratio"] = one.cpu_us / peer.cpu_us
    for (service, case), found in measured.items():
        if service not in (OURS, BASE):
            figures[f"{service}_{case}_ratio"] = found.rate / measured[BASE, case].rate
        figures[f"{service}_{case}_rate"] = found.rate
        figures[f"{service}_{case}_cpu_us"] = found.cpu_us
        figures[f"{service}_{case}_p99_ms"] = found.p99_ms
    return figures


def print_medians(figures: Mapping[str, Figure]) -> None:
    """Print median and range of each figure over the rounds."""
    width = max(len(name) for name in figures)
    print(f"{'figure':<{width}}  {'median':>10}  {'lowest':>10}  {'highest':>10}")
    for name, figure in figures.items():
        values = [value for value in figure.values if value is not None]
        columns = (median(values), min(values), max(values))
        print(f"{name:<{width}}  " + "  ".join(f"{value:>10.4g}" for value in columns))


def print_table(figures: Mapping[str, Figure], cases: Sequence[Case]) -> None:
    """Print medians: requests over FastAPI's with the encoder alone, p99 in ms, memory in MB."""
    suffix = "_one_json_rate"
    services = [name.removesuffix(suffix) for name in figures if name.endswith(suffix)]
    width = max(len(service) for service in services)
    heads = (*(case.name for case in cases), "p99 ms", "MB")
    print(f"{'':<{width}}  " + "  ".join(f"{head:>12}" for head in heads))
    for service in services:
        server = service.removesuffix("_full").removesuffix("_smallest")
        names = [*(_ratio_name(service, case) for case in cases)]
        names += [f"{service}_one_json_p99_ms", f"{server}_all_mb"]
        found = ["1" if name is None else _shown(figures.get(name)) for name in names]
        print(f"{service:<{width}}  " + "  ".join(f"{text:>12}" for text in found))


def _ratio_name(service: str, case: Case) -> str | None:
    if service == BASE:
        return None
    return f"{case.name}_ratio" if service == OURS else f"{service}_{case.name}_ratio"


def _shown(figure: Figure | None) -> str:
    """The median; a dash where a service has no such form."""
    if figure is None:
        return "-"
    return f"{median(value for value in figure.values if value is not None):.3g}"
