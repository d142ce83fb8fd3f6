"""The backlog as metrics. Nothing is counted here: the store is, so the numbers outlive workers."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rcmvae.feedback import FeedbackStatus
from rcmvae.jobs import JobMethod, JobState
from rcmvae.jobs.tally import JobTally
from service.backlog import Backlog

_OPEN = (JobState.REQUESTED, JobState.RUNNING)
_ENDED = (JobState.DONE, JobState.FAILED)


class BacklogMetrics(Collector):
    """The families of one scrape.

    Args:
        backlog: None where the store did not answer, and before the first reading: the families
            of the store are then without samples.
    """

    def __init__(self, backlog: Backlog | None) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """All families."""
        up = GaugeMetricFamily("rcmvae_store_up", "1 where the feedback store answers, else 0.")
        up.add_metric([], float(self._backlog is not None))
        yield up
        yield from self._feedback()
        yield from self._jobs()

    def _feedback(self) -> Iterator[Metric]:
        items = GaugeMetricFamily(
            "rcmvae_feedback_stored", "Feedback items in the store.", labels=["status"]
        )
        oldest = GaugeMetricFamily(
            "rcmvae_feedback_oldest_queued_timestamp_seconds",
            "When the oldest queued item was posted, in seconds since 1970; absent without one.",
        )
        if self._backlog is not None:
            counts = self._backlog.feedback
            for status in FeedbackStatus:
                items.add_metric([status.value], getattr(counts, status.value))
            if counts.oldest_queued is not None:
                oldest.add_metric([], counts.oldest_queued.timestamp())
        yield items
        yield oldest

    def _jobs(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "rcmvae_retrain_jobs", "Retrain jobs that ended.", labels=["method", "state"]
        )
        unfinished = GaugeMetricFamily(
            "rcmvae_retrain_open_jobs", "Retrain jobs that wait or run.", labels=["state"]
        )
        progress = GaugeMetricFamily(
            "rcmvae_retrain_progress_ratio",
            "Share of the running retrain job that is done; absent where none runs.",
        )
        last = GaugeMetricFamily(
            "rcmvae_retrain_last_end_timestamp_seconds",
            "When a retrain job last ended so, in seconds since 1970; absent before the first.",
            labels=["state"],
        )
        if self._backlog is not None:
            jobs = self._backlog.jobs
            by_kind = {(job.method, job.state): job.count for job in jobs}
            for method in JobMethod:
                for state in _ENDED:
                    ended.add_metric([method.value, state.value], by_kind.get((method, state), 0))
            for state in _OPEN:
                waiting = sum(job.count for job in jobs if job.state == state)
                unfinished.add_metric([state.value], waiting)
            running = [job.progress for job in jobs if job.state == JobState.RUNNING]
            if running:
                progress.add_metric([], max(running))
            for state in _ENDED:
                if (end := _last_end(jobs, state)) is not None:
                    last.add_metric([state.value], end)
        yield ended
        yield unfinished
        yield progress
        yield last


def _last_end(jobs: tuple[JobTally, ...], state: JobState) -> float | None:
    ends = [job.finished for job in jobs if job.state == state and job.finished is not None]
    return max(ends).timestamp() if ends else None
