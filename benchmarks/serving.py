"""Requests a second of our service beside others over the same encoder, on this machine.

python -m benchmarks.serving --quick                   # FastAPI alone, in under a minute
python -m benchmarks.serving --models models --rounds 9 --json serving.json

Needs wrk (Debian: apt-get install wrk) and, once, a package index for the peers' environments under
var/peers. Without ``--models`` a short fit makes the bundle; how well it fits costs nothing.

In every round each service answers each kind of request in turn, so that what else the machine does
meets all of them. One worker each, one thread of ONNX Runtime. One input over 16 connections, 64
inputs over 4; ours answers with all scores, ``ours_smallest`` with label, decision and p-values,
and a peer with the encoder's channels. Ratios are formed within a round. Then our service with two
workers takes turns with one of one worker and with ONNX Runtime in two processes at once.

NAME_ratio, p99_ratio, cpu_ratio    ours over FastAPI's: requests a second; p99 and CPU time of one
                                    input in JSON
two_worker_limit_share              two workers, 64 inputs as bytes, over the limit in process
two_worker_speedup                  the same over one worker; wrk is kept to the last core of both
two_worker_client_share             cores that wrk took of the two workers': with two cores in all
                                    the speed-up cannot be more than 2 less this
SERVICE_NAME_rate, _cpu_us, _p99_ms requests a second, CPU microseconds a request of all processes,
                                    99th percentile of latency
SERVICE_startup_seconds, _mb        until ready; resident memory of the largest process at the end
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.contestant import (
    FASTAPI,
    OURS,
    PEERS,
    SMALLEST,
    Contestant,
    our_service,
    peer_service,
)
from benchmarks.onnx_limit import limit_of
from benchmarks.result import Figure, Result, figures_of, provenance, write_result
from benchmarks.run_options import run_config, run_parser
from benchmarks.serving_case import BATCH, Case, cases_of
from benchmarks.short_fit import SHORT_FIT, publish_short
from benchmarks.wrk import require_wrk, send
from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import GOLDEN
from training.golden_set import read_golden

WARM_UP_SECONDS = 1
QUICK_ROUNDS, QUICK_SECONDS = 2, 1
TWO_WORKERS = "two_workers"


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    require_wrk()
    origin = provenance("serving", given)
    rounds = min(options.rounds, QUICK_ROUNDS) if options.quick else options.rounds
    seconds = QUICK_SECONDS if options.quick else options.seconds
    peers = (FASTAPI,) if options.quick else tuple(options.peers)
    with TemporaryDirectory(prefix="rcmvae-serving-") as scratch:
        folder = Path(scratch)
        models = options.models or publish_short(run_config(options, SHORT_FIT), folder / "models")
        cases = cases_of_bundle(models)
        names = (*peers, OURS) if options.quick else (*peers, OURS, SMALLEST)
        runs = one_worker(models, folder, cases, names, rounds, seconds)
        both = two_workers(models, folder / TWO_WORKERS, cases, rounds, seconds)
    figures = figures_of([one | two for one, two in zip(runs, both, strict=True)])
    print_medians(figures)
    config: dict[str, JsonValue] = {"seconds": seconds, "peers": list(peers), "data": options.data}
    if options.json:
        result = Result(origin.commit, origin.command, tuple(range(rounds)), config, figures)
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("serving", __doc__, data="mnist", seeds=1)
    parser.add_argument("--models", type=Path, help="folder of bundles; without it a short fit")
    parser.add_argument("--rounds", type=int, default=7, help="in which all services take turns")
    parser.add_argument("--seconds", type=int, default=3, help="of one service in one round")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[FASTAPI])
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds: expected at least 1")
    if FASTAPI not in options.peers:
        parser.error("--peers: expected fastapi among them, which ratios are to")
    return options


def cases_of_bundle(models: Path) -> tuple[Case, ...]:
    """Requests with inputs that the fit behind the bundle held out.

    Raises:
        SystemExit: it held out fewer than a request needs.
    """
    bundle = load_current(models)
    x = read_golden(bundle.read(GOLDEN)).examples.x
    if len(x) < BATCH:
        raise SystemExit(f"{models}: expected {BATCH} golden inputs, got {len(x)}")
    return cases_of(x, bundle.manifest.input.low, bundle.manifest.input.high)


def one_worker(
    models: Path,
    folder: Path,
    cases: Sequence[Case],
    names: Sequence[str],
    rounds: int,
    seconds: float,
) -> list[dict[str, float]]:
    """Figures of every round, all services with one worker."""
    with _contestants(models, folder, names) as contestants:
        turns = [(case, contestant) for case in cases for contestant in contestants]
        for case, contestant in turns:
            _measure(case, contestant, WARM_UP_SECONDS, folder)
        found: list[dict[str, float]] = []
        for _ in tqdm(range(rounds), desc="rounds", disable=None):
            measured = {
                (contestant.name, case.name): _measure(case, contestant, seconds, folder)
                for case, contestant in turns
            }
            found.append(round_figures(measured, cases))
        still = {
            f"{one.name}_{name}": value
            for one in contestants
            if one.name != SMALLEST
            for name, value in (
                ("startup_seconds", one.server.startup_seconds),
                ("mb", one.server.largest_mb()),
            )
        }
    return [figures | still for figures in found]


@contextmanager
def _contestants(models: Path, folder: Path, names: Sequence[str]) -> Iterator[list[Contestant]]:
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(peer_service(name, models, folder / name))
            for name in names
            if name in PEERS
        }
        servers[OURS] = stack.enter_context(our_service(models, folder / OURS, workers=1))
        yield [Contestant(name, servers[OURS if name == SMALLEST else name]) for name in names]


def _measure(case: Case, contestant: Contestant, seconds: float, folder: Path) -> Measured:
    before = contestant.server.cpu_seconds()
    answered = send(contestant.load(case), contestant.url(case), seconds, folder)
    spent = contestant.server.cpu_seconds() - before
    return Measured(answered.rate, 1e6 * spent / answered.requests, answered.p99_ms)


def round_figures(
    measured: Mapping[tuple[str, str], Measured], cases: Sequence[Case]
) -> dict[str, float]:
    """Ratios of one round, and what they come from.

    Args:
        measured: by name of the contestant and of the case.
        cases: all of them.
    """
    figures = {
        f"{case.name}_ratio": measured[OURS, case.name].rate / measured[FASTAPI, case.name].rate
        for case in cases
    }
    one, peer = (measured[name, "one_json"] for name in (OURS, FASTAPI))
    figures["p99_ratio"] = one.p99_ms / peer.p99_ms
    figures["cpu_ratio"] = one.cpu_us / peer.cpu_us
    for (service, case), found in measured.items():
        figures[f"{service}_{case}_rate"] = found.rate
        figures[f"{service}_{case}_cpu_us"] = found.cpu_us
        figures[f"{service}_{case}_p99_ms"] = found.p99_ms
    return figures


def two_workers(
    models: Path, folder: Path, cases: Sequence[Case], rounds: int, seconds: float
) -> list[dict[str, float]]:
    """Inputs a second of two workers, of one, and of ONNX Runtime in two processes."""
    (case,) = (case for case in cases if case.name == "batch_binary")
    # Twice the connections, so that each worker has as many as one had alone.
    double = replace(case.full, connections=2 * case.full.connections)
    found: list[dict[str, float]] = []
    with (
        our_service(models, folder / "one", workers=1) as one,
        our_service(models, folder / "two", workers=2) as two,
    ):
        turns = (
            (case.full, f"{one.url}/predict{case.query}"),
            (double, f"{two.url}/predict{case.query}"),
        )
        for load, url in turns:
            send(load, url, WARM_UP_SECONDS, folder)
        for _ in tqdm(range(rounds), desc="two workers", disable=None):
            limit = limit_of(models, 2, seconds)
            alone, both = (
                send(load, url, seconds, folder, on_last_core=True) for load, url in turns
            )
            found.append(
                {
                    "two_worker_limit_share": case.rows * both.rate / limit,
                    "two_worker_speedup": both.rate / alone.rate,
                    "two_worker_inputs_rate": case.rows * both.rate,
                    "two_worker_client_share": both.client_cores,
                    "two_process_limit": limit,
                }
            )
    return found


def print_medians(figures: dict[str, Figure]) -> None:
    """Print median and range of each figure over the rounds."""
    width = max(len(name) for name in figures)
    print(f"{'figure':<{width}}  {'median':>10}  {'lowest':>10}  {'highest':>10}")
    for name, figure in figures.items():
        values = [value for value in figure.values if value is not None]
        columns = (median(values), min(values), max(values))
        print(f"{name:<{width}}  " + "  ".join(f"{value:>10.4g}" for value in columns))


if __name__ == "__main__":
    sys.exit(main())
