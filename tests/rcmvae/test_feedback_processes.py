"""Several processes on one store, some of them killed: nothing lost, nothing done twice."""

import random
import time
from subprocess import Popen

from sqlalchemy import make_url

from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.sqlite import choose_driver
from tests.rcmvae.feedback_fixtures import acknowledged, correction, let_go, start_child

KILLS = 5


def integrity(url: str) -> object:
    """What SQLite finds wrong with a file; PostgreSQL checks its own pages."""
    path = make_url(url).database
    if not url.startswith("sqlite") or path is None:
        return [("ok",)]
    connection = choose_driver().connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()


def killed_after(child: Popen[str], lines: int, seconds: float) -> list[str]:
    """SIGKILL a running child some lines and a moment later; return all whole lines it printed."""
    assert child.stdout is not None
    printed = [child.stdout.readline().strip() for _ in range(lines)]
    time.sleep(seconds)
    child.kill()
    return [line for line in printed + acknowledged(child) if line]


def test_sigkill_loses_no_acknowledged_correction(store_url: str) -> None:
    chance = random.Random()
    kept: list[str] = []
    for number in range(KILLS):
        child = start_child("produce", store_url, str(number))
        let_go(child)
        printed = killed_after(child, chance.randint(1, 40), chance.uniform(0, 0.02))
        assert child.returncode == -9
        assert printed
        kept += printed
        assert integrity(store_url) == [("ok",)]
    assert len(set(kept)) == len(kept)
    with FeedbackStore.open(store_url) as store:
        assert all(store.get(feedback_id).feedback_id == feedback_id for feedback_id in kept)
        # Each killed process may have stored one submission, of two at most, that it never told.
        assert len(kept) <= store.counts_by_status().queued <= len(kept) + 2 * KILLS


def test_workers_killed_at_random_apply_everything_once(store_url: str) -> None:
    chance = random.Random()
    with FeedbackStore.open(store_url) as store:
        ids = [record.feedback_id for record in store.add([correction(n) for n in range(300)])]
    # Those that are killed never end by themselves, however fast the machine is.
    workers = {name: start_child("work_on", store_url, name) for name in ("a", "b", "c")}
    workers["last"] = start_child("work", store_url, "last")
    for name in ("a", "b", "c"):
        let_go(workers[name])
    told = {
        name: killed_after(workers[name], chance.randint(1, 12), chance.uniform(0, 0.01))
        for name in ("a", "b", "c")
    }
    assert [workers[name].returncode for name in told] == [-9] * 3
    let_go(workers["last"])
    told["last"] = acknowledged(workers["last"])
    assert workers["last"].returncode == 0
    claims = [(feedback_id, worker) for worker, lines in told.items() for feedback_id in lines]
    with FeedbackStore.open(store_url) as store:
        applied = {record.feedback_id: record.applied_version for record in store.applied()}
        assert list(applied) == ids
        assert all(applied[feedback_id] == worker for feedback_id, worker in claims)
    assert integrity(store_url) == [("ok",)]
