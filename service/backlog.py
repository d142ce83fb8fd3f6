"""What waits in the store, for /metrics: asked at a scrape, and never waited for long."""

import asyncio
import logging
import time
from dataclasses import dataclass

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.record import FeedbackCounts
from rcmvae.jobs.tally import JobTally, tally_jobs
from service.store import LazyStore

_PATIENCE_SECONDS = 2.0
_GOOD_FOR_SECONDS = 1.0

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the store holds at one moment.

    Attributes:
        feedback: items by status, and since when the oldest queued one waits.
        jobs: of retraining, by method and state.
    """

    feedback: FeedbackCounts
    jobs: tuple[JobTally, ...]


class BacklogReader:
    """Reads the backlog in a thread, one reading at a time.

    All workers share the store, so whichever of them is scraped has the whole.

    Args:
        store: of the feedback.
    """

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._reading: asyncio.Task[Backlog | None] | None = None
        self._ended = 0.0

    async def read(self) -> Backlog | None:
        """The backlog, at most a second old; None where the store does not answer in time."""
        if self._reading is None or self._is_old(self._reading):
            self._reading = asyncio.create_task(self._read())
        done, _ = await asyncio.wait({self._reading}, timeout=_PATIENCE_SECONDS)
        return self._reading.result() if done else None

    def _is_old(self, reading: asyncio.Task[Backlog | None]) -> bool:
        return reading.done() and time.monotonic() - self._ended > _GOOD_FOR_SECONDS

    async def _read(self) -> Backlog | None:
        try:
            return await self._store.run(_backlog)
        except StoreUnavailable as error:
            _log.warning("the backlog is unknown: %s", error)
            return None
        finally:
            self._ended = time.monotonic()


def _backlog(store: FeedbackStore) -> Backlog:
    return Backlog(store.counts_by_status(), tally_jobs(store))
