"""The retrain service: it asks for the jobs that are due, and works on them.

Relabels are done here, refits in a process beside, so that no label waits for one. Any number of
watchers may run on one store; the store lends a job to one of them. A watcher that is killed at any
point leaves the job to another, which begins it again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from rcmvae.bundle import prune, read_pointer
from rcmvae.errors import BundleError, ClaimLost, RcmvaeError, StoreUnavailable
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
    reconcile,
)
from training.due import Left, Schedule, due_jobs, labels_since_refit, refit_may_run
from training.gate import GateConfig, worst_report
from training.guard import GuardConfig
from training.held_job import LEASE, HeldJob
from training.reporter import Reporter, worker_name
from training.retrain import retrain
from training.retrain_job import RetrainMethod, RetrainResult
from training.share_cap import ShareCap

logger = logging.getLogger(__name__)

_STORE_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How a watcher works.

    Attributes:
        models: the folder of bundles.
        gate: what a candidate may lose.
        schedule: when a job is due that nobody asked for.
        poll: seconds between two looks into the store.
        lease: after which another watcher takes over from one that is gone.
        keep: newest bundles that stay after a promotion, with the current one and its parent; zero
            keeps all.
        guard: which labels a person has to look at first; None for none.
        cap: what one author's labels may weigh; None for as much as he likes.
    """

    models: Path
    gate: GateConfig = field(default_factory=GateConfig)
    schedule: Schedule = field(default_factory=Schedule)
    poll: float = 0.25
    lease: timedelta = LEASE
    keep: int = 20
    guard: GuardConfig | None = field(default_factory=GuardConfig)
    cap: ShareCap | None = field(default_factory=ShareCap)


class Refits(Protocol):
    """Who does refits beside a watcher."""

    @property
    def is_free(self) -> bool:
        """Whether another one may begin."""

    def begin(self, claim: JobClaim) -> None:
        """Do a claimed job; returns at once."""

    def end(self, store: FeedbackStore) -> None:
        """Stop, and give back what is not done."""


class Watcher:
    """One watcher over an open store.

    Args:
        store: the feedback, and the jobs beside it.
        config: how it works.
        refits: does them beside this watcher; None for the watcher itself, and relabels wait then.
    """

    def __init__(
        self, store: FeedbackStore, config: WatchConfig, refits: Refits | None = None
    ) -> None:
        self._store = store
        self._jobs = JobStore.of(store)
        self._config = config
        self._refits = refits
        self._left = Left()
        self._version: str | None = None

    def watch(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Work until ``go_on`` says no; what is away or cannot be read is waited for."""
        try:
            while go_on():
                try:
                    worked = self.step() is not None
                except (StoreUnavailable, BundleError, OSError) as error:
                    logger.warning("waiting: %s", error)
                    time.sleep(_STORE_AWAY_SECONDS)
                    continue
                if not worked:
                    time.sleep(self._config.poll)
        finally:
            if self._refits is not None:
                self._refits.end(self._store)

    def step(self) -> JobRecord | None:
        """Ask for the job that is due, if any, and begin the next one; None where there is none.

        Raises:
            StoreUnavailable: the store is away; a job in hand is then left to whoever comes next.
            BundleError: the pointer or the bundle that it names cannot be read.
        """
        jobs = self._jobs.open_jobs()
        auto = self._lane_of_auto(jobs)
        jobs = (*jobs, *self._asked([_lane(job, auto) for job in jobs]))
        now = self._store.clock()
        for lane in self._lanes():
            own = [job for job in jobs if _lane(job, auto) is lane]
            if own and self._may_begin(lane) and not any(_is_held(job, now) for job in own):
                claim = self._jobs.claim(worker_name(), self._config.lease, (lane,), auto=auto)
                if claim is not None:
                    return self._begin(claim)
        return None

    def _lanes(self) -> Sequence[JobLane]:
        """Which work is looked for first.

        A refit beside costs a moment, and where labels come all the time a relabel is always due.
        """
        return tuple(JobLane) if self._refits is None else (JobLane.REFIT, JobLane.RELABEL)

    def _may_begin(self, lane: JobLane) -> bool:
        return lane is JobLane.RELABEL or self._refits is None or self._refits.is_free

    def _begin(self, claim: JobClaim) -> JobRecord:
        if self._refits is None or JobLane.of(claim.job.method) is JobLane.RELABEL:
            return self.work_on(claim)
        self._refits.begin(claim)
        return claim.job

    def _lane_of_auto(self, jobs: Sequence[JobRecord]) -> JobLane:
        """What ``auto`` means: a refit where all that waits finds no free channel."""
        if all(job.method is not JobMethod.AUTO for job in jobs):
            return JobLane.RELABEL
        is_stuck = 0 < self._store.waiting().count <= self._left.count
        return JobLane.REFIT if is_stuck else JobLane.RELABEL

    def _asked(self, lanes: Sequence[JobLane]) -> tuple[JobRecord, ...]:
        """Ask for the jobs that are due beside those that are open."""
        if JobLane.RELABEL in lanes:
            return ()  # It takes all that waits.
        self._follow_pointer()
        if self._version is None:
            return ()
        ended = [job for job in self._jobs.recent() if not job.is_open]
        waiting, now = self._store.waiting(), self._store.clock()
        due = due_jobs(waiting, self._left, ended, now, self._config.schedule)
        free = [job for job in due if JobLane.of(job.method) not in lanes]
        return tuple(self._jobs.request(job.method, job.origin) for job in free)

    def _follow_pointer(self) -> None:
        """Another bundle may have a channel for what found none; and it may have come by hand."""
        version = read_pointer(self._config.models)
        if version is not None and version != self._version:
            reason = f"not in version {version}, which was made current by hand"
            done = reconcile(self._config.models, self._store, worker_name(), reason)
            if done.quarantined or done.applied:
                logger.warning("%s: %s", version, done)
        if version != self._version:
            self._version, self._left = version, Left()

    def work_on(self, claim: JobClaim) -> JobRecord:
        """Do a claimed job, and write down what came of it.

        An interrupt gives the job back; whatever else happens ends it, except that the store is
        away: then its lease ends by itself.
        """
        job = claim.job
        logger.info("job %s: %s, for %s", job.job_id, job.method, job.origin)
        try:
            with HeldJob(self._store, self._jobs, claim, self._config.lease) as held:
                result = self._result(job, held)
            self._jobs.finish(claim.token, result)
        except ClaimLost as error:
            logger.warning("job %s: %s", job.job_id, error)
        except StoreUnavailable:
            raise
        except (RcmvaeError, OSError) as error:
            self._fail(claim, error)
        except Exception as error:
            # A bug must not stop the watcher: other jobs may do.
            logger.exception("job %s failed", job.job_id)
            self._fail(claim, error)
        except BaseException:
            # What cannot be given back ends with its lease; an interrupt must not wait for that.
            with suppress(ClaimLost, StoreUnavailable):
                self._jobs.give_back(claim.token)
            raise
        return self._jobs.get(job.job_id)

    def _fail(self, claim: JobClaim, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        logger.error("job %s failed: %s", claim.job.job_id, message)
        try:
            self._jobs.finish(claim.token, JobResult(JobState.FAILED, message))
        except ClaimLost as lost:
            logger.warning("job %s: %s", claim.job.job_id, lost)

    def _result(self, job: JobRecord, reporter: Reporter) -> JobResult:
        self._follow_pointer()
        before = self._store.waiting()
        declined = self._declined(job)
        if declined is not None:
            return JobResult(JobState.DONE, declined)
        method: RetrainMethod = "refit" if job.method is JobMethod.REFIT else "relabel"
        config = self._config
        done = retrain(
            config.models, self._store, method, config.gate, reporter, config.guard, config.cap
        )
        if done is None:
            return JobResult(JobState.DONE, self._nothing_to_do())
        self._left = Left(len(done.queued), before.newest_seq)
        self._version = done.version
        if self._config.keep and done.parent is not None:
            self._prune()
        return _job_result(JobMethod(method), done)

    def _nothing_to_do(self) -> str:
        """Why a job found nothing: often the watcher was faster than the person who asked."""
        version = self._version
        if version is not None and any(j.version == version for j in self._jobs.recent()):
            return f"already learned: version {version}"
        return "no feedback waits"

    def _prune(self) -> None:
        """Remove old bundles; what cannot be removed now stays until the next time."""
        try:
            prune(self._config.models, self._config.keep)
        except (RcmvaeError, OSError) as error:
            logger.warning("old bundles were not removed: %s", error)

    def _declined(self, job: JobRecord) -> str | None:
        """Why a refit that drift asks for would learn nothing new, or None."""
        if job.origin is not JobOrigin.DRIFT:
            return None
        newest = [other for other in self._jobs.recent() if not other.is_open]
        if not labels_since_refit(newest) and not self._store.waiting().count:
            return "drift, but no label came since the last fit: label what GET /candidates asks"
        if not refit_may_run(newest, self._store.clock(), self._config.schedule):
            return "drift, but the last refit was only just now"
        return None


def _lane(job: JobRecord, auto: JobLane) -> JobLane:
    is_open_to_both = job.method is JobMethod.AUTO and job.state is JobState.REQUESTED
    return auto if is_open_to_both else JobLane.of(job.method)


def _is_held(job: JobRecord, now: datetime) -> bool:
    return job.lease_expires is not None and job.lease_expires > now


def _job_result(method: JobMethod, done: RetrainResult) -> JobResult:
    counts = JobCounts(
        applied=len(done.applied),
        withdrawn=len(done.withdrawn),
        rejected=len(done.rejected),
        quarantined=len(done.quarantined),
        waiting=len(done.queued),
    )
    told = [f"{count} {what}" for what, count in counts.model_dump().items() if count]
    told += [f"held for a person: {version}" for version in done.held]
    message = f"{method}: {', '.join(told) or 'nothing to change'}"
    made = done.version if done.parent is not None else None
    return JobResult(JobState.DONE, message, method, made, worst_report(done.gates), counts)
