"""The store away, the disk full, a refit killed: what clients of the service see of it.

python -m benchmarks.outages --models models --store sqlite --json result.json

A server with two workers and a watcher run on a copy of the models folder. One client asks for
predictions all the time, three post labels, each until it is acknowledged. Then, one after another,

away    the store is gone for some seconds: its folder is moved away, or PostgreSQL shut down
full    no file of server and watcher can grow beyond 64 KB, as on a full disk; SQLite only
refit   a refit is asked for and the watcher killed by SIGKILL at a random point of it, some times

and in the end everybody may finish.

NAME_failed             predictions that failed, of NAME_predictions
NAME_p99_ms             latency of predictions; calm_p99_ms before anything happened
NAME_refused            posts of feedback that got 503; one without Retry-After ends the benchmark
NAME_slowest_seconds    longest answer to feedback
NAME_recovery_seconds   from the end of it to the first label that was acknowledged
refit_kills             that came while the refit ran
lost, doubled, unlike   acknowledged labels that the last bundle lacks, those that nobody was told
                        of, and requests said again with another reply
"""

import argparse
import random
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from sqlalchemy import make_url

from benchmarks.kill_soak import is_settled, judge, labelled_examples, wait_for
from benchmarks.postgresql import PostgresServer, postgres_server
from benchmarks.result import (
    Result,
    add_options,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.server import free_port, is_ready
from benchmarks.soak_client import Client, Reply
from benchmarks.soak_processes import Victim, service, watcher
from rcmvae.bundle import load_current
from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.sqlite import choose_driver
from rcmvae.jobs import JobMethod, JobRecord, JobState, JobStore

CLIENTS = 3
CALM_SECONDS = 5.0
FULL_BYTES = 65_536
RECOVERS_SECONDS = 5.0
_PATIENCE = 120.0
_ASK_SECONDS = 0.02
"""Between two predictions."""
_REFIT_SECONDS = 10.0
"""Within which a kill comes after the refit has begun, unless it ends before."""


@dataclass(frozen=True, slots=True)
class Site:
    """What runs.

    Attributes:
        url: of the store.
        address: of the service.
        server: the service.
        watcher: retrains.
        postgres: the server of the store; None on SQLite.
    """

    url: str
    address: str
    server: Victim
    watcher: Victim
    postgres: PostgresServer | None

    @property
    def file(self) -> Path:
        """Of the store, on SQLite."""
        return Path(str(make_url(self.url).database))


class Asker:
    """Asks for one prediction after another, in a thread of its own.

    Args:
        address: of the service.
        row: the input.
    """

    def __init__(self, address: str, row: Sequence[float]) -> None:
        self.replies: list[Reply] = []
        self._address = address
        self._body = {"inputs": [row]}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the request in hand."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._address, timeout=30) as http:
            while not self._stop.wait(_ASK_SECONDS):
                start = time.monotonic()
                try:
                    status = http.post("/predict", json=self._body).status_code
                except httpx.TransportError:
                    status = 0
                end = time.monotonic()
                self.replies.append(Reply(end, end - start, status))


@dataclass(frozen=True, slots=True)
class Lengths:
    """How much of everything.

    Attributes:
        seconds: that the store is away, and that the disk is full.
        kills: of refits.
        calm_seconds: before anything happens.
    """

    seconds: float
    kills: int
    calm_seconds: float = CALM_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 where a target is missed."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each outage")
    parser.add_argument("--kills", type=int, default=10, help="of refits")
    parser.add_argument("--seed", type=int, default=0, help="of pauses and choices")
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("outages", given)
    lengths = Lengths(3.0, 2) if options.quick else Lengths(options.seconds, options.kills)
    with TemporaryDirectory(prefix="outages-") as text:
        folder = Path(text)
        shutil.copytree(options.models, folder / "models")
        if options.store == "postgresql":
            with postgres_server() as postgres:
                figures = run(folder, lengths, options.seed, postgres)
        else:
            figures = run(folder, lengths, options.seed)
    config = {"store": options.store, "seconds": lengths.seconds, "clients": CLIENTS}
    result = Result(
        origin.commit, origin.command, (options.seed,), {**config}, figures_of([figures])
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return int(not is_good(figures))


def is_good(figures: dict[str, float | None]) -> bool:
    """Whether nothing was lost, no prediction failed, and feedback came back in time."""
    wrong = [v for k, v in figures.items() if k.endswith(("_failed", "lost", "doubled", "unlike"))]
    late = [v for k, v in figures.items() if k.endswith("_recovery_seconds") and v is not None]
    return not any(wrong) and max(late) <= RECOVERS_SECONDS


def run(
    folder: Path, lengths: Lengths, seed: int, postgres: PostgresServer | None = None
) -> dict[str, float | None]:
    """Do everything to the bundle in ``folder/models``; all figures.

    Raises:
        SystemExit: a process ended by itself.
        RuntimeError: a client was answered something that it cannot do anything with.
        TimeoutError: something did not come to an end.
    """
    chance, base = random.Random(seed), load_current(folder / "models")
    url = postgres.new_database() if postgres else f"sqlite:///{folder / 'var' / 'feedback.db'}"
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    site = Site(url, address, service(folder, url, port), watcher(folder, url, 0), postgres)
    everybody = [site.server, site.watcher]
    try:
        wait_for(lambda: is_ready(address), "the service is ready", everybody)
        examples = labelled_examples(base)
        asker = Asker(address, examples.x[0].ravel().tolist())
        clients = [Client(address, examples, chance.randrange(2**32)) for _ in range(CLIENTS)]
        time.sleep(lengths.calm_seconds)
        figures = _seen("calm", asker, clients, time.monotonic() - lengths.calm_seconds)
        for name, outage in (("away", _away), ("full", _full)):
            if postgres is None or name == "away":
                figures |= _outage(name, outage(site), asker, clients, lengths.seconds)
        if lengths.kills:
            start = time.monotonic()
            figures["refit_kills"] = float(_kill_refits(site, lengths.kills, chance))
            figures |= _seen("refit", asker, clients, start)
        said = [client.stop() for client in clients]
        asker.stop()
        with FeedbackStore.open(url) as store:
            wait_for(lambda: is_settled(store), "everything is settled", everybody)
    finally:
        for victim in everybody:
            victim.kill()
    # Counts are of another encoder after a refit, so ids alone say what the map holds.
    verdict = judge(url, base, load_current(folder / "models"), said)
    return figures | {
        "acknowledged": float(sum(len(each.labels) for each in said)),
        "set_aside_by_the_gate": float(verdict.set_aside),
        "lost": float(verdict.lost),
        "doubled": float(verdict.doubled),
        "unlike": float(verdict.unlike),
        "store_damaged": float(verdict.unsound),
    }


def _outage(
    name: str,
    outage: AbstractContextManager[None],
    asker: Asker,
    clients: Sequence[Client],
    seconds: float,
) -> dict[str, float | None]:
    start = time.monotonic()
    with outage:
        time.sleep(seconds)
    end = time.monotonic()

    def recovery() -> float | None:
        replies = (reply for client in clients for reply in tuple(client.said.replies))
        after = [r.at for r in replies if r.status == httpx.codes.ACCEPTED and r.at > end]
        return min(after) - end if after else None

    while recovery() is None and time.monotonic() - end < _PATIENCE:
        for client in clients:
            client.require_well()
        time.sleep(0.02)
    return {
        **_seen(name, asker, clients, start),
        f"{name}_recovery_seconds": recovery() or _PATIENCE,
    }


def _seen(
    name: str, asker: Asker, clients: Sequence[Client], start: float
) -> dict[str, float | None]:
    """Figures of what came since then."""
    asked = [reply for reply in tuple(asker.replies) if reply.at >= start]
    told = [r for client in clients for r in tuple(client.said.replies) if r.at >= start]
    return {
        f"{name}_predictions": float(len(asked)),
        f"{name}_failed": float(sum(reply.status != httpx.codes.OK for reply in asked)),
        f"{name}_p99_ms": float(np.quantile([1e3 * reply.seconds for reply in asked], 0.99)),
        f"{name}_refused": float(sum(r.status == httpx.codes.SERVICE_UNAVAILABLE for r in told)),
        f"{name}_acknowledged": float(sum(r.status == httpx.codes.ACCEPTED for r in told)),
        f"{name}_slowest_seconds": max((reply.seconds for reply in told), default=0.0),
    }


@contextmanager
def _away(site: Site) -> Iterator[None]:
    """As a mount that is lost, or a server that is down."""
    if site.postgres is not None:
        site.postgres.stop()
        try:
            yield
        finally:
            site.postgres.start()
        return
    folder = site.file.parent
    away = folder.with_name("away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextmanager
def _full(site: Site) -> Iterator[None]:
    """As a disk that is full: no file of the service and of the watcher can grow."""
    # The log of SQLite begins anew, so that there is no room in it.
    with closing(choose_driver().connect(site.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)  # they have it from this process
    _limit(site, FULL_BYTES)
    try:
        yield
    finally:
        _limit(site, before)


def _limit(site: Site, size: int) -> None:
    for pid in (*site.server.family(), *site.watcher.family()):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _kill_refits(site: Site, count: int, chance: random.Random) -> int:
    """Kill refits, and let the last one end; how many still ran when they were killed."""
    struck = sum(_kill_refit(site, chance) for _ in range(count))
    with FeedbackStore.open(site.url) as store:
        jobs = JobStore.of(store)
        wait_for(lambda: not _refits(jobs), "no refit is open", [site.server, site.watcher])
    return struck


def _kill_refit(site: Site, chance: random.Random) -> bool:
    """Ask for a refit and kill its watcher at some point of it; whether the refit still ran."""
    with FeedbackStore.open(site.url) as store:
        jobs = JobStore.of(store)
        reply = httpx.post(f"{site.address}/retrain", json={"method": "refit"}, timeout=30)
        if reply.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"POST /retrain: expected 202, got {reply.text}")
        wait_for(lambda: _runs(jobs), "the refit runs", [site.server, site.watcher])
        end = time.monotonic() + chance.uniform(0.0, _REFIT_SECONDS)
        while _runs(jobs) and time.monotonic() < end:
            time.sleep(0.02)
        struck = _runs(jobs)
        site.watcher.kill()
        site.watcher.start()
    return struck


def _runs(jobs: JobStore) -> bool:
    return any(job.state is JobState.RUNNING for job in _refits(jobs))


def _refits(jobs: JobStore) -> list[JobRecord]:
    return [job for job in jobs.open_jobs() if job.method is JobMethod.REFIT]


if __name__ == "__main__":
    sys.exit(main())
