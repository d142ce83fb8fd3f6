"""Requests a second of our service beside others over the same graphs, on this machine.

python -m benchmarks.serving --quick                   # FastAPI alone, in under a minute
python -m benchmarks.serving --models models --json serving.json               # all peers
python -m benchmarks.serving --models models --peers fastapi litserve --rounds 3 --seconds 1

Needs wrk (Debian: apt-get install wrk) and, once, a package index for the peers' environments under
var/peers, each made from its own lock (benchmarks/peers_serving/NAME.lock). Without ``--models`` a
short fit makes the bundle; how well it fits costs nothing.

In every round each service answers each kind of request in turn, so that what else the machine does
meets all of them. One worker each, one thread of ONNX Runtime. One input over 16 connections, 64
inputs over 4; ours answers with all scores, ``ours_smallest`` with label, decision and p-values,
a peer with the encoder's channels, and as ``NAME_full`` with all that our service reads from its
run, in columns: no decision, no p-values, and nothing is kept. Ratios are formed within a round. A
peer that cannot be installed, does not start, or answers wrong or not at all, is named in the
result (``missing``) with its reason. Then our service with two workers takes turns with one of one
worker and with ONNX Runtime in two processes at once.

CASE_ratio, p99_ratio, cpu_ratio    ours over FastAPI's with the encoder alone: requests a second;
                                    p99 and CPU time of one input in JSON
full_CASE_ratio                     ours over FastAPI's with the whole graph
SERVICE_CASE_ratio                  another service over FastAPI with the encoder alone
two_worker_limit_share              two workers, 64 inputs as bytes, over the limit in process
two_worker_speedup                  the same over one worker; wrk is kept to the last core of both
two_worker_client_share             cores that wrk took of the two workers': with two cores in all
                                    the speed-up cannot be more than 2 less this
SERVICE_CASE_rate, _cpu_us, _p99_ms requests a second, CPU microseconds a request of all processes,
                                    99th percentile of latency
SERVICE_startup_seconds, _mb,       until ready; resident memory of the largest process and of all
SERVICE_all_mb, _idle_cores         at the end; CPU time a second while nobody asks
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.contestant import OURS, SMALLEST, Contestant, Lineup, lined_up
from benchmarks.peers_serving.peer import FASTAPI, PEERS
from benchmarks.result import Result, figures_of, provenance, write_result
from benchmarks.run_options import run_config, run_parser
from benchmarks.server import Server, Unmeasurable
from benchmarks.serving_case import BATCH, Case, Request, cases_of
from benchmarks.serving_figures import (
    BASE,
    FULL_BASE,
    Measured,
    print_medians,
    print_table,
    round_figures,
)
from benchmarks.serving_workers import WARM_UP_SECONDS, two_workers
from benchmarks.short_fit import SHORT_FIT, publish_short
from benchmarks.wrk import NoAnswer, require_wrk, send
from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import GOLDEN
from training.golden_set import read_golden

QUICK_ROUNDS, QUICK_SECONDS = 2, 1
IDLE_SECONDS = 2.0
_REQUIRED = (OURS, SMALLEST, BASE, FULL_BASE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    require_wrk()
    origin = provenance("serving", given)
    rounds = min(options.rounds, QUICK_ROUNDS) if options.quick else options.rounds
    seconds = QUICK_SECONDS if options.quick else options.seconds
    peers = (FASTAPI.name,) if options.quick else tuple(options.peers)
    with TemporaryDirectory(prefix="rcmvae-serving-") as scratch:
        folder = Path(scratch)
        models = options.models or publish_short(run_config(options, SHORT_FIT), folder / "models")
        cases = cases_of_bundle(models)
        lineup, runs = one_worker(
            models, folder, cases, peers, rounds, seconds, brief=options.quick
        )
        both = two_workers(models, folder / "two_workers", cases, rounds, seconds)
    figures = figures_of([one | two for one, two in zip(runs, both, strict=True)])
    print_medians(figures)
    print_table(figures, cases)
    for name, reason in lineup.missing.items():
        print(f"not measured: {name}: {reason}")
    missing: dict[str, JsonValue] = {**lineup.missing}
    config: dict[str, JsonValue] = {
        "seconds": seconds,
        "peers": list(peers),
        "missing": missing,
        "data": options.data,
    }
    if options.json:
        result = Result(origin.commit, origin.command, tuple(range(rounds)), config, figures)
        write_result(result, options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("serving", __doc__, data="mnist", seeds=1)
    parser.add_argument("--models", type=Path, help="folder of bundles; without it a short fit")
    parser.add_argument("--rounds", type=int, default=7, help="in which all services take turns")
    parser.add_argument("--seconds", type=int, default=3, help="of one service in one round")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds: expected at least 1")
    if FASTAPI.name not in options.peers:
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
    peers: Sequence[str],
    rounds: int,
    seconds: float,
    *,
    brief: bool,
) -> tuple[Lineup, list[dict[str, float]]]:
    """Who was there, and the figures of every round, all services with one worker."""
    with lined_up(models, folder, peers, cases, brief=brief) as lineup:
        idle = _idle_cores(lineup.servers)
        _warm_up(lineup, cases, folder)
        turns = tqdm(range(rounds), desc="rounds", disable=None)
        measured = [one_round(lineup, cases, seconds, folder) for _ in turns]
        still = {
            f"{name}_{what}": value
            for name, server in lineup.servers.items()
            for what, value in (
                ("startup_seconds", server.startup_seconds),
                ("mb", server.largest_mb()),
                ("all_mb", server.all_mb()),
                ("idle_cores", idle[name]),
            )
        }
    # Who failed in one round is in none.
    complete = [
        {pair: found for pair, found in one.items() if pair[0] not in lineup.missing}
        for one in measured
    ]
    return lineup, [round_figures(one, cases) | still for one in complete]


def _idle_cores(servers: Mapping[str, Server]) -> dict[str, float]:
    before = {name: server.cpu_seconds() for name, server in servers.items()}
    time.sleep(IDLE_SECONDS)
    return {
        name: (server.cpu_seconds() - before[name]) / IDLE_SECONDS
        for name, server in servers.items()
    }


def _warm_up(lineup: Lineup, cases: Sequence[Case], folder: Path) -> None:
    """A round of which nothing is kept; on a busy machine its second may be too short."""
    for case in cases:
        for one in lineup.there:
            request = one.request(case)
            if request is not None:
                with _dropped(lineup, one), suppress(NoAnswer):
                    measure(one, request, WARM_UP_SECONDS, folder)


@contextmanager
def _dropped(lineup: Lineup, one: Contestant) -> Iterator[None]:
    """Whoever fails a request is there no longer.

    Raises:
        Unmeasurable: it is one that all others are compared with.
    """
    try:
        yield
    except Unmeasurable as error:
        if one.name in _REQUIRED:
            raise
        lineup.missing[one.name] = str(error)


def one_round(
    lineup: Lineup, cases: Sequence[Case], seconds: float, folder: Path
) -> dict[tuple[str, str], Measured]:
    """Each of those who are there with each kind of request, by name and case.

    Raises:
        Unmeasurable: a request failed to a service that all others are compared with.
    """
    found: dict[tuple[str, str], Measured] = {}
    for case in cases:
        for one in lineup.there:
            request = one.request(case)
            if request is not None:
                with _dropped(lineup, one):
                    found[one.name, case.name] = measure(one, request, seconds, folder)
    return found


def measure(one: Contestant, request: Request, seconds: float, folder: Path) -> Measured:
    """Send a request again and again for some seconds; wrk's files go to the folder."""
    before = one.server.cpu_seconds()
    answered = send(request.load, one.server.url + request.path, seconds, folder)
    spent = one.server.cpu_seconds() - before
    return Measured(answered.rate, 1e6 * spent / answered.requests, answered.p99_ms)


if __name__ == "__main__":
    sys.exit(main())
