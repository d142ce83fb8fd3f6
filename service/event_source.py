"""Where events come from: what the store, the pointer and the workers say, looked at now and then.

Inputs, jobs and the readings of drift are shared by all workers, so a stream tells of all of them,
whichever worker it comes from. While nobody reads nothing is looked at.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from rcmvae.decision import decide
from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStore, PlacedCapture, Span
from rcmvae.input_rows import fits
from rcmvae.jobs import JobRecord, JobStore
from service.event_feed import RECENT, Event, EventFeed, EventKind
from service.hotswap import BundleWatcher
from service.schemas import BundleEvent, DriftAnswer, PredictionEvent, RetrainEvent
from service.served import Served
from service.store import LazyStore

MOST_PREDICTIONS = RECENT
"""In one look: of more inputs the newest, since each is predicted once again."""

LOOK_SECONDS = 1.0

_log = logging.getLogger("bentoml.rcmvae")


class EventSource:
    """Looks for events and publishes them.

    Attributes:
        feed: where they go.

    Args:
        feed: see above.
        bundles: what is served.
        store: inputs and jobs.
        large_work: the one thread for it.
        alpha: of the decisions of a bundle.
        drift: what GET /drift answers; blocks.
    """

    def __init__(
        self,
        feed: EventFeed,
        bundles: BundleWatcher,
        store: LazyStore,
        large_work: Executor,
        alpha: Callable[[Served], float],
        drift: Callable[[Served], DriftAnswer],
    ) -> None:
        self.feed = feed
        self._bundles = bundles
        self._store = store
        self._large_work = large_work
        self._alpha = alpha
        self._drift = drift
        self._seen = 0
        self._store_answers = True
        self._looking = asyncio.Lock()

    async def look_for_readers(self) -> None:
        """`look`, while somebody reads; a store that does not answer is logged once in a row."""
        if not self.feed.subscribers:
            return
        try:
            await self.look()
            self._store_answers = True
        except StoreUnavailable as error:
            if self._store_answers:
                _log.warning("no events of predictions and jobs: %s", error)
            self._store_answers = False

    async def look(self) -> None:
        """Publish what is new.

        Raises:
            BundleNotFound: nothing is served yet.
            StoreUnavailable: the store does not answer; what needs none was published.
        """
        async with self._looking:
            served = self._bundles.current()
            self.feed.publish(Event(EventKind.BUNDLE, _bundle(served).model_dump_json()))
            drift = await asyncio.to_thread(self._drift, served)
            self.feed.publish(Event(EventKind.DRIFT, drift.model_dump_json()))
            job = await self._store.run(_newest_job)
            if job is not None:
                self.feed.publish(Event(EventKind.RETRAIN, _retrain(job).model_dump_json()))
            await self._look_at_inputs(served)

    async def _look_at_inputs(self, served: Served) -> None:
        span, placed = await self._store.run(partial(_newest_inputs, after=self._seen))
        first = placed[0].place if placed else 0
        skipped = max(0, first - self._seen - 1) if self._seen else 0
        self._seen = span.last
        fitting = [each for each in placed if fits(each.capture.input, served.manifest.input)]
        if fitting:
            work = partial(_predictions, served, fitting, self._alpha(served), skipped)
            loop = asyncio.get_running_loop()
            for event in await loop.run_in_executor(self._large_work, work):
                self.feed.publish(event)


def _newest_inputs(store: FeedbackStore, after: int) -> tuple[Span, tuple[PlacedCapture, ...]]:
    """Where captures end, and the newest after a place, oldest first."""
    span = store.capture_span()
    start = max(after, span.last - MOST_PREDICTIONS)
    if after > span.last:  # another store than before
        start = max(0, span.last - MOST_PREDICTIONS)
    placed = store.captures_after(start, MOST_PREDICTIONS) if span.last > start else ()
    return Span(span.first, placed[-1].place if placed else span.last), placed


def _newest_job(store: FeedbackStore) -> JobRecord | None:
    jobs = JobStore.of(store).newest(1)
    return jobs[0] if jobs else None


def _predictions(
    served: Served, placed: Sequence[PlacedCapture], alpha: float, skipped: int
) -> list[Event]:
    """One event an input; the first says how many came before it untold."""
    batch = served.predictor.predict(np.stack([each.capture.input for each in placed]))
    decisions = decide(batch.p_familiar, batch.p_owned, alpha)
    events = []
    for i, each in enumerate(placed):
        told = PredictionEvent(
            prediction_id=each.capture.prediction_id,
            created=each.capture.created,
            bundle_version=served.version,
            label=batch.predicted[i],
            channel=int(batch.channel[i]),
            position=batch.position[i].tolist(),
            decision=decisions[i],
            p_familiar=float(batch.p_familiar[i]),
            p_owned=float(batch.p_owned[i]),
            total=float(batch.uncertainty.total[i]),
            skipped=skipped if i == 0 else 0,
        )
        events.append(Event(EventKind.PREDICTION, told.model_dump_json(), each.place))
    return events


def _bundle(served: Served) -> BundleEvent:
    lineage = served.manifest.lineage
    return BundleEvent(
        bundle_version=served.version,
        parent_version=lineage.parent_version,
        method=lineage.method,
        labels=list(served.manifest.labels),
    )


def _retrain(job: JobRecord) -> RetrainEvent:
    return RetrainEvent(
        job_id=job.job_id,
        method=job.method,
        state=job.state,
        requested=job.requested,
        started=job.started,
        finished=job.finished,
        progress=job.progress,
        message=job.message,
        version=job.version,
    )
