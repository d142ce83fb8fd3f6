"""Which retrain jobs are due: a pure function of what waits, of what was done, and of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from rcmvae.feedback import Waiting
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobState

_LONGEST_PAUSE = timedelta(minutes=1)
_LONGEST_REFIT_PAUSE = timedelta(days=1)
_FIRST_PAUSE = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due that nobody asked for.

    Attributes:
        quiet: labels wait until none came for so long, so that a burst is one batch.
        longest_wait: but no longer than this.
        refit_every: a refit is due so long after the last one, if labels were applied since; zero
            for never.
        refit_pause: between two refits at least, whatever they are for; doubled by every refit in
            a row that failed.
    """

    quiet: timedelta = timedelta(seconds=0.2)
    longest_wait: timedelta = timedelta(seconds=2)
    refit_every: timedelta = timedelta(days=1)
    refit_pause: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Left:
    """Feedback that the last relabel left where it is: its labels find no free channel.

    Attributes:
        count: how much.
        newest_seq: of the newest feedback that it saw.
    """

    count: int = 0
    newest_seq: int = 0


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job to ask for."""

    method: JobMethod
    origin: JobOrigin


def due_jobs(
    waiting: Waiting, left: Left, recent: Sequence[JobRecord], now: datetime, schedule: Schedule
) -> tuple[DueJob, ...]:
    """The jobs that are due now, at most one of each lane.

    Args:
        waiting: feedback that could be claimed.
        left: what the last relabel left.
        recent: jobs as `JobStore.recent` gives them; none of them open.
        now: the store's time.
        schedule: see there.
    """
    due = []
    labels_are_due = _labels_are_due(waiting, left, recent, now, schedule)
    if labels_are_due:
        due.append(DueJob(JobMethod.RELABEL, JobOrigin.LABELS))
    # How many labels find no channel is only known after the relabel.
    is_stuck = waiting.count and left.count and not labels_are_due
    if is_stuck and refit_may_run(recent, now, schedule):
        due.append(DueJob(JobMethod.REFIT, JobOrigin.CHANNELS))
    elif _schedule_is_due(recent, now, schedule):
        due.append(DueJob(JobMethod.REFIT, JobOrigin.SCHEDULE))
    return tuple(due)


def _labels_are_due(
    waiting: Waiting, left: Left, newest: Sequence[JobRecord], now: datetime, schedule: Schedule
) -> bool:
    if waiting.leaving and now >= _next_try(newest):
        return True
    if waiting.oldest is None or waiting.newest is None:
        return False
    if waiting.count <= left.count and waiting.newest_seq <= left.newest_seq:
        return False
    is_quiet = now - waiting.newest >= schedule.quiet
    is_long = now - waiting.oldest >= schedule.longest_wait
    return (is_quiet or is_long) and now >= _next_try(newest)


def _next_try(newest: Sequence[JobRecord]) -> datetime:
    """After jobs that failed in a row, ever later."""
    failed = list(takewhile(_has_failed, newest))
    if not failed:
        return _EPOCH
    return _ended(failed[0]) + _doubled(_FIRST_PAUSE, len(failed) - 1, _LONGEST_PAUSE)


def refit_may_run(newest: Sequence[JobRecord], now: datetime, schedule: Schedule) -> bool:
    """Whether the last refit is long enough ago."""
    refits = [job for job in newest if job.method is JobMethod.REFIT]
    if not refits:
        return True
    failed = len(list(takewhile(_has_failed, refits)))
    pause = _doubled(schedule.refit_pause, failed, _LONGEST_REFIT_PAUSE)
    return now - _ended(refits[0]) >= pause


def labels_since_refit(newest: Sequence[JobRecord]) -> bool:
    """Whether a job applied or took back labels after the last refit that succeeded."""
    since = takewhile(lambda job: not _has_refitted(job), newest)
    return any(job.counts.applied or job.counts.withdrawn for job in since)


def _schedule_is_due(newest: Sequence[JobRecord], now: datetime, schedule: Schedule) -> bool:
    if not schedule.refit_every or not labels_since_refit(newest):
        return False
    refits = [job for job in newest if _has_refitted(job)]
    # Without one, the first job of all begins the time.
    last = _ended(refits[0]) if refits else newest[-1].requested
    return now - last >= schedule.refit_every and refit_may_run(newest, now, schedule)


def _has_failed(job: JobRecord) -> bool:
    return job.state is JobState.FAILED


def _has_refitted(job: JobRecord) -> bool:
    return job.method is JobMethod.REFIT and job.state is JobState.DONE and job.version is not None


def _ended(job: JobRecord) -> datetime:
    return job.finished if job.finished is not None else job.requested


def _doubled(pause: timedelta, times: int, most: timedelta) -> timedelta:
    factor: int = 2 ** min(times, 20)
    return min(most, pause * factor)
