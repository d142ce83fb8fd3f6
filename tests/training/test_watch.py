"""The retrain service: what it does by itself, what it is asked for, and what survives a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from rcmvae.bundle import Bundle, list_versions, load_current, read_pointer
from rcmvae.counts import read_label_map
from rcmvae.errors import ClaimLost, StoreUnavailable
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.jobs import JobClaim, JobMethod, JobOrigin, JobState, JobStore
from tests.e2e.served import wait_until
from tests.rcmvae.feedback_fixtures import StillClock
from tests.training.retrain_run import claim_everything
from tests.training.tiny import LENIENT, corrections, post
from tests.training.watch_child import STEPS
from training.due import Schedule
from training.held_job import HeldJob
from training.relabel import Correction
from training.retrain_commands import work_once
from training.watch import WatchConfig, Watcher

ROOT = Path(__file__).parents[2]
AT_ONCE = Schedule(quiet=timedelta(0))
LEASE = timedelta(seconds=30)


def watcher(models: Path, store: FeedbackStore, *, lease: timedelta = LEASE) -> Watcher:
    return Watcher(store, WatchConfig(models, LENIENT, AT_ONCE, 0.01, lease))


def test_labels_are_applied_unasked_and_then_it_rests(models: Path, store: FeedbackStore) -> None:
    watching = watcher(models, store)
    assert watching.step() is None
    ids = post(store, corrections(3, 4))
    job = watching.step()
    assert job is not None
    assert (job.state, job.method, job.origin) == (
        JobState.DONE,
        JobMethod.RELABEL,
        JobOrigin.LABELS,
    )
    assert (job.counts.applied, job.version) == (4, read_pointer(models))
    assert {store.get(i).status for i in ids} == {FeedbackStatus.APPLIED}
    assert watching.step() is None
    assert len(JobStore.of(store).newest(9)) == 1


class Beside:
    """Refits that somebody else does, and that never end."""

    def __init__(self) -> None:
        self.begun: list[JobClaim] = []

    @property
    def is_free(self) -> bool:
        return not self.begun

    def begin(self, claim: JobClaim) -> None:
        self.begun.append(claim)

    def end(self, store: FeedbackStore) -> None:
        pass


def test_a_refit_begins_where_labels_come_all_the_time(models: Path, store: FeedbackStore) -> None:
    asked = JobStore.of(store).request(JobMethod.REFIT, JobOrigin.REQUEST)
    post(store, corrections(3, 2))
    beside = Beside()
    watching = Watcher(store, WatchConfig(models, LENIENT, AT_ONCE, 0.01), beside)
    watching.step()
    assert [claim.job.job_id for claim in beside.begun] == [asked.job_id]
    job = watching.step()
    assert job is not None
    assert (job.method, job.counts.applied) == (JobMethod.RELABEL, 2)


def test_a_burst_is_one_batch(models: Path, store_url: str) -> None:
    schedule = Schedule(quiet=timedelta(seconds=0.3), longest_wait=timedelta(seconds=60))
    clock = StillClock()
    with FeedbackStore.open(store_url, clock=clock) as store:
        watching = Watcher(store, WatchConfig(models, LENIENT, schedule, 0.01))
        for item in corrections(3, 5):
            post(store, [item])
            clock.now += timedelta(seconds=0.2)
            assert watching.step() is None
        clock.now += timedelta(seconds=0.1)
        job = watching.step()
    assert job is not None
    assert job.counts.applied == 5
    assert len(list_versions(models)) == 2


def test_a_request_is_worked_on_though_nothing_waits(models: Path, store: FeedbackStore) -> None:
    asked = JobStore.of(store).request(JobMethod.AUTO, JobOrigin.REQUEST, "anna")
    job = watcher(models, store).step()
    assert job is not None
    assert (job.job_id, job.state, job.version) == (asked.job_id, JobState.DONE, None)
    assert job.message == "no feedback waits"


def test_a_request_that_comes_after_the_watcher_says_what_was_learned(
    models: Path, store: FeedbackStore
) -> None:
    watching = watcher(models, store)
    post(store, corrections(3, 5))
    learned = watching.step()
    assert learned is not None
    assert learned.version == read_pointer(models)
    JobStore.of(store).request(JobMethod.AUTO, JobOrigin.REQUEST, "anna")
    job = watching.step()
    assert job is not None
    assert (job.state, job.version) == (JobState.DONE, None)
    assert job.message == f"already learned: version {learned.version}"


def test_labels_without_a_channel_are_left_until_a_refit_is_due(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_everything(models)
    refits: list[Sequence[Correction]] = []

    def no_torch_here(_: Bundle, items: Sequence[Correction], **__: object) -> None:
        refits.append(items)
        raise OSError("no data here")

    monkeypatch.setattr("training.refit.refit", no_torch_here)
    watching = watcher(models, store)
    post(store, corrections(9, 3))
    first, second = watching.step(), watching.step()
    assert first is not None
    assert second is not None
    assert (first.method, first.counts.waiting) == (JobMethod.RELABEL, 3)
    assert (second.method, second.origin) == (JobMethod.REFIT, JobOrigin.CHANNELS)
    assert (second.state, second.message) == (JobState.FAILED, "OSError: no data here")
    assert len(refits[0]) == 3
    assert watching.step() is None, "neither the relabel nor the refit is tried over and over"
    assert store.counts_by_status().queued == 3


def test_drift_alone_teaches_nothing(models: Path, store: FeedbackStore) -> None:
    JobStore.of(store).request(JobMethod.REFIT, JobOrigin.DRIFT)
    job = watcher(models, store).step()
    assert job is not None
    assert (job.state, job.version) == (JobState.DONE, None)
    assert job.message.startswith("drift, but no label came since the last fit")


def test_an_error_that_nobody_foresaw_fails_the_job_and_not_the_watcher(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(store, corrections(3, 1))
    watching = watcher(models, store)
    with monkeypatch.context() as patch:
        patch.setattr("training.promotion.relabel", lambda *_: 1 / 0)
        job = watching.step()
    assert job is not None
    assert (job.state, job.message) == (JobState.FAILED, "ZeroDivisionError: division by zero")
    assert watching.step() is None, "it waits before it tries again"
    assert store.counts_by_status().queued == 1


def test_an_interrupt_gives_the_job_back(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(store, corrections(3, 1))

    def interrupted(*_: object) -> None:
        raise SystemExit(143)

    with monkeypatch.context() as patch:
        patch.setattr("training.promotion.relabel", interrupted)
        with pytest.raises(SystemExit):
            watcher(models, store).step()
    (job,) = JobStore.of(store).open_jobs()
    assert (job.state, store.counts_by_status().queued) == (JobState.REQUESTED, 1)
    other = watcher(models, store).step()
    assert other is not None
    assert (other.job_id, other.attempts, other.counts.applied) == (job.job_id, 1, 1)


def test_a_store_that_is_away_is_waited_for(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(store, corrections(3, 1))
    monkeypatch.setattr("training.watch._STORE_AWAY_SECONDS", 0.01)
    looks = iter([True, True, True, False])
    away = iter([True, True])

    def open_jobs(self: JobStore) -> tuple[()]:
        if next(away, False):
            raise StoreUnavailable("away")
        return ()

    monkeypatch.setattr(JobStore, "open_jobs", open_jobs)
    watcher(models, store).watch(lambda: next(looks))
    assert store.counts_by_status().applied == 1


def test_old_bundles_go(models: Path, store: FeedbackStore) -> None:
    watching = Watcher(store, WatchConfig(models, LENIENT, AT_ONCE, 0.01, keep=2))
    for digit in (3, 4, 5, 6):
        post(store, corrections(digit, 1))
        assert watching.step() is not None
    assert len(list_versions(models)) == 2


def test_a_job_that_a_watcher_took_first_is_followed(models: Path, store: FeedbackStore) -> None:
    post(store, corrections(3, 2))
    jobs = JobStore.of(store)
    jobs.request(JobMethod.RELABEL, JobOrigin.REQUEST)
    ours = work_once(store, watcher(models, store), JobMethod.AUTO, LEASE)
    assert ours.state is JobState.DONE
    first = jobs.newest(2)[1]
    assert first.counts.applied + ours.counts.applied == 2


def test_a_lease_is_renewed_while_the_work_goes_on(models: Path, store_url: str) -> None:
    lease, clock = timedelta(seconds=0.4), StillClock()
    with FeedbackStore.open(store_url, clock=clock) as store:
        post(store, corrections(3, 1))
        jobs = JobStore.of(store)
        jobs.request(JobMethod.RELABEL, JobOrigin.REQUEST)
        claim = jobs.claim("slow", lease)
        assert claim is not None

        def is_renewed() -> bool:
            return jobs.get(claim.job.job_id).lease_expires == clock.now + lease

        with HeldJob(store, jobs, claim, lease) as held:
            feedback = store.claim(worker="slow", limit=9, lease=lease)
            assert feedback is not None
            held.claimed(feedback.token)
            for _ in range(3):
                clock.now += 0.75 * lease
                wait_until(is_renewed, "the next beat")
            assert jobs.claim("fast", lease) is None
            assert store.claim(worker="fast", limit=9, lease=lease) is None
            held.require_held()
        clock.now += lease
        assert jobs.claim("fast", lease) is not None
        with pytest.raises(ClaimLost):
            held.require_held()


class _Interrupt(BaseException):
    """As SIGTERM unwinds the stack."""


@pytest.mark.parametrize("step", ["the job", "the feedback"])
def test_an_interrupt_ends_the_watcher_also_while_the_store_is_away(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    def interrupted(*_: object) -> None:
        monkeypatch.setattr(JobStore, "give_back", away)
        monkeypatch.setattr(FeedbackStore, "release", away)
        raise _Interrupt

    where = {"the job": "training.watch.retrain", "the feedback": "training.retrain.load_current"}
    monkeypatch.setattr(where[step], interrupted)
    post(store, corrections(3, 1))
    with pytest.raises(_Interrupt):
        watcher(models, store).watch()


def test_a_bundle_that_cannot_be_read_is_waited_for(
    models: Path, store: FeedbackStore, caplog: pytest.LogCaptureFixture
) -> None:
    pointer = models / "CURRENT"
    named = pointer.read_text()
    pointer.write_text("20200101T000000Z-00000000\n")
    post(store, corrections(3, 1))
    steps = iter((True, True, False))

    def go_on() -> bool:
        if "waiting:" in caplog.text:
            pointer.write_text(named)
        return next(steps)

    watcher(models, store).watch(go_on)
    assert "20200101T000000Z-00000000" in caplog.text
    assert store.counts_by_status().applied == 1


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_watchers_job_is_taken_over_and_nothing_is_applied_twice(
    models: Path, store_url: str, step: str
) -> None:
    with FeedbackStore.open(store_url) as store:
        ids = post(store, corrections(9, 5))
        before = read_label_map(load_current(models)).ids
        line = [sys.executable, "-m", "tests.training.watch_child", str(models), store_url]
        child = subprocess.run([*line, step, "0.5"], cwd=ROOT, check=False, timeout=110)
        assert child.returncode == -signal.SIGKILL
        (open_job,) = JobStore.of(store).open_jobs()
        assert open_job.state is JobState.RUNNING

        watching = watcher(models, store, lease=timedelta(seconds=0.5))
        end = time.monotonic() + 60
        while store.counts_by_status().applied < 5:
            watching.step()
            assert time.monotonic() < end, store.counts_by_status()
        taken_over = JobStore.of(store).get(open_job.job_id)
        assert taken_over.attempts == 2 or taken_over.state is JobState.RUNNING
        label_map = read_label_map(load_current(models))
        assert label_map.ids == (*before, *ids), "each once, in order"
        alone = label_map.withdraw(label_map.ids[: len(before)])
        np.testing.assert_allclose(alone.counts.sum(), 5)
        assert {store.get(i).status for i in ids} == {FeedbackStatus.APPLIED}


def test_sigterm_stops_an_idle_watcher(models: Path, store_url: str) -> None:
    line = [sys.executable, "-m", "training", "retrain", "--watch", "--models", str(models)]
    child = subprocess.Popen(
        [*line, "--store", store_url],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stderr is not None
    assert "watching" in child.stderr.readline()
    child.terminate()
    assert child.wait(timeout=30) == 128 + signal.SIGTERM
    child.stderr.close()
