"""Retrain jobs in the store: one of a lane at a time, fenced, taken over, and never lost."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rcmvae.errors import ClaimLost, JobNotFound
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import (
    JobClaim,
    JobCounts,
    JobLane,
    JobMethod,
    JobOrigin,
    JobRecord,
    JobResult,
    JobState,
    JobStore,
)
from rcmvae.jobs.store import LONGEST_MESSAGE, MOST_ATTEMPTS
from tests.rcmvae.feedback_fixtures import StillClock, url_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def jobs(tmp_path: Path, clock: StillClock) -> Iterator[JobStore]:
    with FeedbackStore.open(url_of(tmp_path / "f.db"), clock=clock) as store:
        yield JobStore.of(store)


def ask(jobs: JobStore, method: JobMethod = JobMethod.RELABEL) -> JobRecord:
    return jobs.request(method, JobOrigin.REQUEST, "anna")


def take(jobs: JobStore, worker: str = "w") -> JobClaim:
    claim = jobs.claim(worker, MINUTE)
    assert claim is not None
    return claim


def test_the_life_of_a_job(jobs: JobStore, clock: StillClock) -> None:
    asked = ask(jobs)
    assert (asked.state, asked.requested_by, asked.attempts) == (JobState.REQUESTED, "anna", 0)
    clock.now += MINUTE / 2
    claim = take(jobs)
    assert claim.job.job_id == asked.job_id
    assert (claim.job.state, claim.job.started) == (JobState.RUNNING, clock.now)
    jobs.report(claim.token, 0.5, "half way")
    half = jobs.get(asked.job_id)
    assert (half.progress, half.message, half.worker) == (0.5, "half way", "w")
    clock.now += MINUTE / 2
    counts = JobCounts(applied=3, rejected=1)
    result = JobResult(JobState.DONE, "done it", JobMethod.RELABEL, "v2", None, counts)
    jobs.finish(claim.token, result)
    done = jobs.get(asked.job_id)
    assert (done.state, done.progress, done.version) == (JobState.DONE, 1.0, "v2")
    assert (done.counts, done.finished, done.lease_expires) == (counts, clock.now, None)
    assert not done.is_open
    assert jobs.newest(5) == (done,)
    assert jobs.open_jobs() == ()


def test_what_waits_is_not_asked_for_twice(jobs: JobStore, clock: StillClock) -> None:
    first = ask(jobs)
    assert ask(jobs) == first
    assert ask(jobs, JobMethod.REFIT) != first
    take(jobs)
    assert ask(jobs).job_id != first.job_id, "a running one may have begun before the new labels"


def test_at_most_one_in_so_much_time(jobs: JobStore, clock: StillClock) -> None:
    def drift() -> JobRecord:
        return jobs.request(JobMethod.REFIT, JobOrigin.DRIFT, at_most_every=60 * MINUTE)

    first = drift()
    jobs.finish(take(jobs).token, JobResult(JobState.DONE, "declined"))
    clock.now += 59 * MINUTE
    assert drift().job_id == first.job_id
    clock.now += 2 * MINUTE
    assert drift().job_id != first.job_id


def test_a_clock_that_went_back_stops_no_job(jobs: JobStore, clock: StillClock) -> None:
    def drift() -> JobRecord:
        return jobs.request(JobMethod.REFIT, JobOrigin.DRIFT, at_most_every=60 * MINUTE)

    before = ask(jobs)
    jobs.finish(take(jobs).token, JobResult(JobState.DONE, "done it"))
    early = drift()
    jobs.finish(take(jobs).token, JobResult(JobState.DONE, "done it"))
    clock.now -= 100 * MINUTE
    assert ask(jobs).job_id != before.job_id
    assert drift().job_id != early.job_id


def test_many_that_ask_at_once_ask_for_one_job(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        jobs, asked = JobStore.of(store), list[str]()
        barrier = threading.Barrier(8)

        def ask_together() -> None:
            barrier.wait()
            asked.append(ask(jobs).job_id)

        threads = [threading.Thread(target=ask_together) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(asked) == 8
        assert len(set(asked)) == 1


def test_one_job_of_a_lane_runs_at_a_time_oldest_first(jobs: JobStore) -> None:
    first, second = ask(jobs), ask(jobs, JobMethod.AUTO)
    claim = take(jobs)
    assert claim.job.job_id == first.job_id
    assert jobs.claim("other", MINUTE) is None
    jobs.finish(claim.token, JobResult(JobState.FAILED, "x" * 9999))
    assert len(jobs.get(first.job_id).message) == LONGEST_MESSAGE
    assert take(jobs).job.job_id == second.job_id


def test_a_relabel_runs_beside_a_refit_until_that_has_the_turn(jobs: JobStore) -> None:
    refit, relabel = ask(jobs, JobMethod.REFIT), ask(jobs)
    trains = jobs.claim("a", MINUTE, (JobLane.REFIT,))
    counts = jobs.claim("b", MINUTE, (JobLane.RELABEL,))
    assert trains is not None
    assert counts is not None
    assert [trains.job.job_id, counts.job.job_id] == [refit.job_id, relabel.job_id]
    assert not jobs.take_turn(trains.token), "the relabel still runs"
    jobs.finish(counts.token, JobResult(JobState.DONE, ""))
    assert jobs.take_turn(trains.token)
    assert jobs.take_turn(trains.token), "it has it"
    late = ask(jobs)
    assert jobs.claim("b", MINUTE) is None
    jobs.finish(trains.token, JobResult(JobState.DONE, ""))
    assert take(jobs).job.job_id == late.job_id
    with pytest.raises(ClaimLost):
        jobs.take_turn(trains.token)


def test_a_refit_that_died_with_the_turn_stops_no_relabel(
    jobs: JobStore, clock: StillClock
) -> None:
    refit = ask(jobs, JobMethod.REFIT)
    dead = take(jobs)
    assert jobs.take_turn(dead.token)
    relabel = ask(jobs)
    clock.now += 2 * MINUTE
    assert take(jobs).job.job_id == relabel.job_id
    again = take(jobs)
    assert (again.job.job_id, again.job.attempts) == (refit.job_id, 2)


def test_an_open_method_is_settled_by_the_lane(jobs: JobStore) -> None:
    ask(jobs, JobMethod.AUTO)
    assert jobs.claim("w", MINUTE, (JobLane.RELABEL,), auto=JobLane.REFIT) is None
    claim = jobs.claim("w", MINUTE, (JobLane.REFIT,), auto=JobLane.REFIT)
    assert claim is not None
    assert claim.job.method is JobMethod.REFIT


def test_a_dead_workers_job_is_taken_over_and_the_dead_one_is_fenced_off(
    jobs: JobStore, clock: StillClock
) -> None:
    ask(jobs)
    ask(jobs, JobMethod.REFIT)
    first = take(jobs)
    clock.now += MINUTE
    second = take(jobs, "other")
    assert second.job.job_id == first.job.job_id
    assert (second.job.attempts, second.job.started) == (2, first.job.started)
    done = JobResult(JobState.DONE, "")
    acts: list[Callable[[], None]] = [
        lambda: jobs.renew(first.token, MINUTE),
        lambda: jobs.report(first.token, 0.1, ""),
        lambda: jobs.finish(first.token, done),
        lambda: jobs.give_back(first.token),
    ]
    for act in acts:
        with pytest.raises(ClaimLost):
            act()
    jobs.finish(second.token, done)
    with pytest.raises(ClaimLost):
        jobs.renew(second.token, MINUTE)


def test_a_renewed_lease_is_not_taken_over(jobs: JobStore, clock: StillClock) -> None:
    ask(jobs)
    claim = take(jobs)
    clock.now += MINUTE / 2
    jobs.renew(claim.token, MINUTE)
    clock.now += MINUTE / 2
    assert jobs.claim("other", MINUTE) is None


def test_a_job_that_is_given_back_is_taken_again(jobs: JobStore) -> None:
    ask(jobs)
    claim = take(jobs)
    jobs.give_back(claim.token)
    assert jobs.get(claim.job.job_id).state is JobState.REQUESTED
    assert take(jobs, "other").job.job_id == claim.job.job_id


def test_workers_that_give_a_job_back_have_not_died_over_it(
    jobs: JobStore, clock: StillClock
) -> None:
    ask(jobs)
    for _ in range(MOST_ATTEMPTS):
        jobs.give_back(take(jobs).token)
    first = take(jobs)
    assert first.job.attempts == 1
    clock.now += MINUTE
    assert take(jobs, "other").job.job_id == first.job.job_id


def test_what_kills_every_worker_is_given_up(jobs: JobStore, clock: StillClock) -> None:
    deadly = ask(jobs)
    for _ in range(MOST_ATTEMPTS):
        take(jobs)
        clock.now += MINUTE
    following = ask(jobs, JobMethod.REFIT)
    assert take(jobs).job.job_id == following.job_id
    given_up = jobs.get(deadly.job_id)
    assert given_up.state is JobState.FAILED
    assert given_up.message.startswith(f"{MOST_ATTEMPTS} workers died")


def test_a_moved_pointer_is_in_the_history(jobs: JobStore, clock: StillClock) -> None:
    job = jobs.record_move(JobMethod.ROLLBACK, "v1", "ben", "from v2", JobCounts(quarantined=4))
    assert (job.state, job.method, job.version) == (JobState.DONE, JobMethod.ROLLBACK, "v1")
    assert (job.requested_by, job.counts.quarantined) == ("ben", 4)
    assert jobs.newest(1) == (job,)
    assert jobs.claim("w", MINUTE) is None


def test_what_a_person_made_current_is_remembered(jobs: JobStore) -> None:
    ask(jobs)
    made = JobResult(JobState.DONE, "done it", JobMethod.RELABEL, "v3")
    jobs.finish(take(jobs).token, made)
    assert jobs.made_current() == frozenset()
    jobs.record_move(JobMethod.ROLLBACK, "v1", "ben", "", JobCounts())
    jobs.record_move(JobMethod.PROMOTE, "v2", "ben", "", JobCounts())
    assert jobs.made_current() == {"v1", "v2"}


def test_of_many_that_reach_for_one_job_one_gets_it(tmp_path: Path) -> None:
    url = url_of(tmp_path / "f.db")
    with FeedbackStore.open(url) as store:
        ask(JobStore.of(store))
        got: list[JobClaim | None] = []
        barrier = threading.Barrier(8)

        def reach(name: str) -> None:
            barrier.wait()
            got.append(JobStore.of(store).claim(name, MINUTE))

        threads = [threading.Thread(target=reach, args=(f"w{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([claim for claim in got if claim is not None]) == 1


def test_the_last_refit_is_recent_however_many_relabels_came_after_it(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rcmvae.jobs.store.RECENT", 3)
    monkeypatch.setattr("rcmvae.jobs.store.RECENT_REFITS", 1)
    relabel, refit = JobMethod.RELABEL, JobMethod.REFIT
    done = []
    with FeedbackStore.open(store_url) as store:
        jobs = JobStore.of(store)
        assert jobs.recent() == ()
        for method in (relabel, refit, relabel, refit, *[relabel] * 5):
            done.append(ask(jobs, method).job_id)
            jobs.finish(take(jobs).token, JobResult(JobState.DONE, ""))
        assert [job.job_id for job in jobs.recent()] == [done[i] for i in (8, 7, 6, 3, 0)]


def test_an_unknown_id_is_said(jobs: JobStore) -> None:
    with pytest.raises(JobNotFound):
        jobs.get("0" * 32)
