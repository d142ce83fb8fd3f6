"""A real watcher and its refit: labels go on beside it, and a kill at any point loses nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rcmvae.bundle import list_versions, load_bundle, load_current
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobState, JobStore
from tests.training.tiny import corrections, post

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 6.0


@contextmanager
def watching(models: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A watcher as an operator starts it."""
    line = [sys.executable, "-m", "training", "retrain", "--watch", "--store", url]
    options = ["--models", str(models), "--lease", str(LEASE_SECONDS), "--quiet", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*line, *options], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def until(holds: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def refit_of(jobs: JobStore) -> JobRecord:
    return next(job for job in jobs.newest(20) if job.method is JobMethod.REFIT)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_labels_go_on_beside_a_refit_and_a_killed_watcher_takes_it_with_it(
    models: Path, store: FeedbackStore, store_url: str
) -> None:
    jobs = JobStore.of(store)
    asked = jobs.request(JobMethod.REFIT, JobOrigin.REQUEST)
    with watching(models, store_url) as first:
        until(lambda: refit_of(jobs).progress > 0)
        (trains,) = [pid for pid in children(first.pid) if b"spawn_main" in _command(pid)]
        first.kill()
        until(lambda: not Path(f"/proc/{trains}").exists() or _command(trains) == b"")
    assert refit_of(jobs).state in (JobState.RUNNING, JobState.REQUESTED)
    with watching(models, store_url) as second:
        mine = f"-{second.pid}"
        until(lambda: str(refit_of(jobs).worker).endswith(mine) and refit_of(jobs).progress > 0)
        ids = post(store, corrections(9, 5))
        until(lambda: store.counts_by_status().applied == 5)
        assert refit_of(jobs).state is JobState.RUNNING, "the labels did not wait for it"
        until(lambda: not refit_of(jobs).is_open)
        done = refit_of(jobs)
        second.terminate()
        assert second.wait(timeout=30) == 128 + signal.SIGTERM
    assert (done.job_id, done.state) == (asked.job_id, JobState.DONE), done.message
    counted = [v for v in list_versions(models) if _holds(models, v, ids)]
    relabelled = load_bundle(models / counted[0]).manifest
    assert relabelled.lineage.method == "relabel"
    current = load_current(models)
    # A network this small may fail the gate; the labels are served either way, each once.
    if done.version is not None:
        assert current.manifest.lineage.method == "refit"
        assert current.manifest.lineage.parent_version == relabelled.bundle_version
    held = read_label_map(current).ids
    assert [name for name in held if name in ids] == ids
    assert {store.get(name).status for name in ids} == {FeedbackStatus.APPLIED}


def _holds(models: Path, version: str, ids: list[str]) -> bool:
    return set(ids) <= set(read_label_map(load_bundle(models / version)).ids)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
