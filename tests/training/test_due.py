"""Which job is due, from what waits, what was done, and the time."""

from datetime import UTC, datetime, timedelta

import pytest

from rcmvae.feedback import Waiting
from rcmvae.jobs import JobCounts, JobMethod, JobOrigin, JobRecord, JobState
from training.due import DueJob, Left, Schedule, due_jobs, labels_since_refit, refit_may_run

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SCHEDULE = Schedule(quiet=SECOND, longest_wait=5 * SECOND, refit_every=24 * HOUR, refit_pause=HOUR)
ONE_APPLIED = JobCounts(applied=1)
NOTHING = Waiting(0, 0, None, None)
LABELS = DueJob(JobMethod.RELABEL, JobOrigin.LABELS)
CHANNELS = DueJob(JobMethod.REFIT, JobOrigin.CHANNELS)
REGULAR = DueJob(JobMethod.REFIT, JobOrigin.SCHEDULE)


def waits(oldest: float, newest: float, count: int = 3, seq: int = 9) -> Waiting:
    """Feedback posted so many seconds ago."""
    return Waiting(count, seq, NOW - oldest * SECOND, NOW - newest * SECOND)


def job(
    ago: timedelta,
    method: JobMethod = JobMethod.RELABEL,
    state: JobState = JobState.DONE,
    counts: JobCounts = ONE_APPLIED,
    version: str | None = "v",
) -> JobRecord:
    """A job that ended so long ago."""
    at = NOW - ago
    return JobRecord(
        job_id="0" * 32,
        method=method,
        origin=JobOrigin.LABELS,
        requested_by=None,
        state=state,
        requested=at,
        started=at,
        finished=at,
        lease_expires=None,
        attempts=1,
        worker=None,
        progress=1.0,
        message="",
        version=version,
        gate=None,
        counts=counts,
    )


@pytest.mark.parametrize(
    ("waiting", "left", "due"),
    [
        (NOTHING, Left(), None),
        (waits(0.5, 0.5), Left(), None),
        (waits(1, 1), Left(), LABELS),
        (waits(4.9, 0.1), Left(), None),
        (waits(5, 0.1), Left(), LABELS),
        (waits(60, 60, count=3, seq=9), Left(3, 9), CHANNELS),
        (waits(60, 60, count=3, seq=10), Left(3, 9), LABELS),
        (waits(60, 60, count=4, seq=9), Left(3, 9), LABELS),
    ],
)
def test_labels_wait_until_it_is_quiet_or_long(
    waiting: Waiting, left: Left, due: DueJob | None
) -> None:
    assert due_jobs(waiting, left, [], NOW, SCHEDULE) == ((due,) if due else ())


@pytest.mark.parametrize(("failed", "pause"), [(1, 1.0), (2, 2.0), (3, 4.0), (30, 60.0)])
def test_after_failures_it_is_tried_ever_later(failed: int, pause: float) -> None:
    def due(ago: float) -> tuple[DueJob, ...]:
        newest = [job(ago * SECOND, state=JobState.FAILED)] * failed
        return due_jobs(waits(99, 99), Left(), newest, NOW, SCHEDULE)

    assert due(pause - 0.01) == ()
    assert due(pause) == (LABELS,)


def test_what_finds_no_channel_waits_for_the_pause_between_refits() -> None:
    waiting, left = waits(60, 60), Left(3, 9)
    recent = [job(0.5 * HOUR, JobMethod.REFIT)]
    assert due_jobs(waiting, left, recent, NOW, SCHEDULE) == ()
    assert due_jobs(waiting, left, [job(HOUR, JobMethod.REFIT)], NOW, SCHEDULE) == (CHANNELS,)
    failed = [job(HOUR, JobMethod.REFIT, JobState.FAILED)]
    assert due_jobs(waiting, left, failed, NOW, SCHEDULE) == ()
    failed = [job(2 * HOUR, JobMethod.REFIT, JobState.FAILED)]
    assert due_jobs(waiting, left, failed, NOW, SCHEDULE) == (CHANNELS,)


def test_a_regular_refit_needs_labels_since_the_last_one() -> None:
    old = job(30 * HOUR, JobMethod.REFIT)
    assert due_jobs(NOTHING, Left(), [job(HOUR), old], NOW, SCHEDULE) == (REGULAR,)
    assert due_jobs(NOTHING, Left(), [old], NOW, SCHEDULE) == ()
    nothing = job(HOUR, counts=JobCounts(rejected=2))
    assert due_jobs(NOTHING, Left(), [nothing, old], NOW, SCHEDULE) == ()
    young = job(23 * HOUR, JobMethod.REFIT)
    assert due_jobs(NOTHING, Left(), [job(HOUR), young], NOW, SCHEDULE) == ()
    never = Schedule(refit_every=timedelta(0))
    assert due_jobs(NOTHING, Left(), [job(HOUR), old], NOW, never) == ()


def test_a_regular_refit_is_due_beside_labels_that_wait() -> None:
    old = [job(HOUR), job(30 * HOUR, JobMethod.REFIT)]
    assert due_jobs(waits(9, 9), Left(), old, NOW, SCHEDULE) == (LABELS, REGULAR)


def test_without_any_refit_the_first_job_begins_the_time() -> None:
    assert due_jobs(NOTHING, Left(), [job(HOUR), job(25 * HOUR)], NOW, SCHEDULE) == (REGULAR,)
    assert due_jobs(NOTHING, Left(), [job(HOUR), job(23 * HOUR)], NOW, SCHEDULE) == ()
    assert due_jobs(NOTHING, Left(), [], NOW, SCHEDULE) == ()


def test_a_refit_that_failed_or_was_declined_is_none() -> None:
    failed = job(HOUR, JobMethod.REFIT, JobState.FAILED)
    declined = job(HOUR, JobMethod.REFIT, counts=JobCounts(), version=None)
    for between in (failed, declined):
        assert labels_since_refit([between, job(2 * HOUR)])
    assert not labels_since_refit([job(HOUR, JobMethod.REFIT), job(2 * HOUR)])
    assert refit_may_run([job(HOUR)], NOW, SCHEDULE)
