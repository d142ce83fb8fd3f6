"""An alarm of drift asks for a refit: one job for a bundle, whichever workers raise alarms."""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobStore
from service.drift import DriftWatch
from service.store import LazyStore

_PAUSE = timedelta(hours=1)
"""Between two such jobs at least: a stream of new bundles must not become one of refits."""

_log = logging.getLogger("bentoml.rcmvae")


class RefitOnDrift:
    """Follows the drift watch of one worker.

    Whether the refit is worth it, the watcher of retrain jobs decides, who knows what was labelled.

    Args:
        drift: of this worker.
        store: whose jobs all workers share.
    """

    def __init__(self, drift: DriftWatch, store: LazyStore) -> None:
        self._drift = drift
        self._store = store
        self._asked: str | None = None
        self._store_answers = True

    async def follow(self) -> None:
        """Watch the answers since the last time, and ask once an alarm is raised.

        Nothing blocks the event loop. Where the store does not answer, the next call asks.
        """
        await asyncio.to_thread(self._drift.fold)
        served = await asyncio.to_thread(self._drift.alarmed)
        if served is None or served.version == self._asked:
            return
        try:
            await self._store.run(partial(request_refit, created=served.manifest.created))
        except StoreUnavailable as error:
            if self._store_answers:
                _log.warning("no refit is asked for on drift yet: %s", error)
            self._store_answers = False
        else:
            self._asked, self._store_answers = served.version, True


def request_refit(store: FeedbackStore, created: datetime) -> JobRecord:
    """Ask for a refit on drift, unless one was asked for since the bundle was created.

    Args:
        store: beside whose feedback the jobs are.
        created: when the bundle was, under which the traffic drifts; aware.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    age = store.clock() - created
    jobs = JobStore.of(store)
    return jobs.request(JobMethod.REFIT, JobOrigin.DRIFT, at_most_every=max(_PAUSE, age))
