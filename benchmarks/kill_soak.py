"""SIGKILL at random points of the service and of the watchers: nothing lost, nothing twice.

python -m benchmarks.kill_soak --models models --kills 500 --store sqlite --json result.json

A server with two workers and two watchers run on a copy of the models folder, and clients post
labels under idempotency keys and take some back, each until it is acknowledged. After every random
pause a watcher, a worker of the server or the whole server is killed and started again. At the end
everybody may finish. Then the bundle's label map must hold every acknowledged label that was not
taken back, once, and no other: by the ids, and by the counts, which are added up here anew from the
inputs that were posted.
"""

import argparse
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sqlalchemy import make_url

from benchmarks.postgresql import postgres_server
from benchmarks.result import (
    Result,
    add_options,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.server import free_port, is_ready
from benchmarks.soak_client import Client, Examples, Said
from benchmarks.soak_processes import WATCHERS, Victim, service, watcher
from rcmvae.bundle import Bundle, load_current
from rcmvae.bundle.manifest import ENCODER
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackFilter, FeedbackStatus, FeedbackStore
from rcmvae.feedback.sqlite import choose_driver
from rcmvae.jobs import JobState, JobStore
from training.config import from_json
from training.data import load_source
from training.encode import encode, session_of

CLIENTS = 3
LONGEST_PAUSE = 2.0
"""Seconds between two kills, at most."""
QUICK_KILLS = 10
PATIENCE = 180.0
AT_WORK = 0.5
"""Share of the kills before which a job is waited for, with the service up; the others come at any
time, such as in a start."""
_WORK_SECONDS = 20.0
_AIMS = {"watcher": 6, "worker": 3, "service": 1}
"""What is killed, and how often of ten times."""
_MOST_JOBS = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is there in the end.

    Attributes:
        lost: acknowledged labels, not taken back, that the bundle does not hold though the gate did
            not refuse them.
        set_aside: those that the gate refused, with a reason; none is lost.
        doubled: labels in the bundle or in the store that are more than was acknowledged.
        counts_off: largest difference between the counts of the bundle and what the posted inputs
            add up to, in examples.
        unlike: requests that were said again and had another reply than before.
        unsound: whether SQLite finds its file damaged.
        taken_over: jobs that more than one watcher took, because one was killed in it.
    """

    lost: int
    set_aside: int
    doubled: int
    counts_off: float
    unlike: int
    unsound: bool
    taken_over: int

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled or damaged."""
        broken = self.lost or self.doubled or self.unlike or self.unsound
        return not broken and self.counts_off < 1e-6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 1 where something was lost or applied twice."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kill_soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=0, help="of pauses and choices")
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("kill_soak", given)
    kills = QUICK_KILLS if options.quick else options.kills
    with (
        TemporaryDirectory(prefix="kill-soak-") as folder,
        store_for(options.store, Path(folder)) as url,
    ):
        shutil.copytree(options.models, Path(folder) / "models")
        figures, verdict = run(Path(folder), url, kills, options.seed)
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=(options.seed,),
        config={
            "store": options.store,
            "clients": CLIENTS,
            "watchers": WATCHERS,
            "aims": {**_AIMS},
        },
        figures=figures_of([figures]),
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return int(not verdict.is_good)


def run(folder: Path, url: str, kills: int, seed: int) -> tuple[dict[str, float | None], Verdict]:
    """Soak the bundle in ``folder/models``, and judge; all figures.

    Raises:
        SystemExit: a process ended by itself.
        TimeoutError: what was acknowledged is not settled in the end.
    """
    base = load_current(folder / "models")
    killed, said = soak(folder, url, kills, random.Random(seed))
    verdict = judge(url, base, load_current(folder / "models"), said)
    labels = sum(len(each.labels) for each in said)
    figures: dict[str, float | None] = {
        "kills": float(killed.total()),
        **{f"kills_{name}": float(killed[name]) for name in _AIMS},
        "acknowledged": float(labels),
        "taken_back": float(sum(len(each.taken_back) for each in said)),
        "requests_sent_again": float(sum(each.sent_again for each in said)),
        "jobs_taken_over": float(verdict.taken_over),
        "set_aside_by_the_gate": float(verdict.set_aside),
        "lost": float(verdict.lost),
        "doubled": float(verdict.doubled),
        "counts_off": verdict.counts_off,
        "replies_unlike_the_first": float(verdict.unlike),
        "store_damaged": float(verdict.unsound),
    }
    return figures, verdict


def soak(
    folder: Path, url: str, kills: int, chance: random.Random, pause: float = LONGEST_PAUSE
) -> tuple[Counter[str], list[Said]]:
    """Kill so many times, ``pause`` seconds apart at most; what, and what the clients were told."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = service(folder, url, port)
    watchers = [watcher(folder, url, number) for number in range(WATCHERS)]
    everybody = [server, *watchers]
    killed: Counter[str] = Counter()
    try:
        with FeedbackStore.open(url) as store:
            wait_for(lambda: is_ready(address), "the service is ready", everybody)
            examples = labelled_examples(load_current(folder / "models"))
            clients = [Client(address, examples, chance.randrange(2**32)) for _ in range(CLIENTS)]
            while killed.total() < kills:
                if chance.random() < AT_WORK:
                    _wait_for_work(store, address)
                time.sleep(chance.uniform(0.0, pause))
                for victim in everybody:
                    victim.require_well()
                for client in clients:
                    client.require_well()
                aim = chance.choices(list(_AIMS), list(_AIMS.values()))[0]
                killed[aim] += _strike(aim, server, watchers, chance)
            said = [client.stop() for client in clients]
            wait_for(lambda: is_settled(store), "everything is settled", everybody)
    finally:
        for victim in everybody:
            victim.kill()
    return killed, said


def _strike(aim: str, server: Victim, watchers: Sequence[Victim], chance: random.Random) -> bool:
    """Kill what is aimed at and start it again; whether there was something."""
    if aim == "worker":
        return server.kill_a_child(chance)
    victim = server if aim == "service" else chance.choice(watchers)
    victim.kill()
    victim.start()
    return True


def judge(url: str, base: Bundle, final: Bundle, said: Sequence[Said]) -> Verdict:
    """Compare what was acknowledged with the store and with the bundle."""
    acknowledged = {name for each in said for name in each.labels}
    standing = {name for each in said for name in each.standing}
    with FeedbackStore.open(url) as store:
        stored = {status.value: _ids(store, status) for status in FeedbackStatus}
        jobs = JobStore.of(store).newest(_MOST_JOBS)
    refused = stored["rejected"] | stored["quarantined"]
    everything = [name for names in stored.values() for name in names]
    held = set(read_label_map(final).ids) - set(read_label_map(base).ids)
    expected = standing - refused
    return Verdict(
        lost=len(expected - held) + len(acknowledged.difference(everything)),
        set_aside=len(standing & refused),
        doubled=len(held - expected) + len(set(everything) - acknowledged),
        counts_off=_counts_off(base, final, said, expected),
        unlike=sum(each.unlike for each in said),
        unsound=not _is_sound(url),
        taken_over=sum(job.attempts > 1 for job in jobs),
    )


def _counts_off(base: Bundle, final: Bundle, said: Sequence[Said], expected: set[str]) -> float:
    """Counts of the final map against those of the first one and of the inputs as posted."""
    inputs: Mapping[str, np.ndarray] = {k: v for each in said for k, v in each.inputs.items()}
    labels = {k: v for each in said for k, v in each.labels.items()}
    names = sorted(expected)
    before, after = read_label_map(base), read_label_map(final)
    counts = before.counts
    if names:
        x = np.stack([inputs[name] for name in names])
        shares = encode(session_of(base.read(ENCODER)), x).responsibilities()
        np.add.at(counts.T, [before.index(labels[name]) for name in names], shares)
    return float(np.abs(counts - after.counts).max())


def _ids(store: FeedbackStore, status: FeedbackStatus) -> set[str]:
    """Ids of all corrections with a status, read page by page as a client does."""
    which, before, found = FeedbackFilter(status=status), None, set[str]()
    while True:
        page = store.listing(which, limit=1000, before=before)
        found |= {record.feedback_id for record in page.records}
        before = page.next_before
        if before is None:
            return found


def _wait_for_work(store: FeedbackStore, address: str) -> None:
    """Until a job runs and the service is up, or for some seconds."""
    jobs, end = JobStore.of(store), time.monotonic() + _WORK_SECONDS
    while time.monotonic() < end:
        running = any(job.state is JobState.RUNNING for job in jobs.open_jobs())
        if running and is_ready(address):
            return
        time.sleep(0.05)


def is_settled(store: FeedbackStore) -> bool:
    """Whether nothing waits and nothing is being done."""
    counts, waiting = store.counts_by_status(), store.waiting()
    moving = counts.queued + counts.claimed + counts.replaced + counts.withdrawing
    return not (moving or waiting.count or waiting.leaving or JobStore.of(store).open_jobs())


def wait_for(condition: Callable[[], bool], what: str, victims: Sequence[Victim]) -> None:
    """Wait until a condition holds, while the processes live.

    Raises:
        TimeoutError: it did not in time.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        for victim in victims:
            victim.require_well()
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.2)


def labelled_examples(bundle: Bundle) -> Examples:
    """Training inputs of the bundle's source whose label it knows."""
    source = load_source(from_json(bundle.manifest.configuration).data.source)
    names = np.array(source.labels)[source.train.y]
    known = np.flatnonzero(np.isin(names, bundle.manifest.labels))
    part = known[np.random.default_rng(0).permutation(len(known))[:1000]]
    return Examples(source.train.take(part).x, names[part].tolist())


def _is_sound(url: str) -> bool:
    """Whether SQLite finds nothing wrong with its file; PostgreSQL checks its own pages."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    with closing(choose_driver().connect(str(parsed.database))) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])


@contextmanager
def store_for(kind: str, folder: Path) -> Iterator[str]:
    """URL of an empty store that lives for the block."""
    if kind == "postgresql":
        with postgres_server() as server:
            yield server.new_database()
    else:
        yield f"sqlite:///{folder / 'feedback.db'}"


if __name__ == "__main__":
    sys.exit(main())
