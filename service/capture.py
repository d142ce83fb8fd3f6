"""Inputs of recent predictions, so that feedback can name one by its id.

A worker remembers its own in memory and writes them to the store shortly after, since the worker
that gets the feedback may be another. Memory is bounded: the oldest go first, and those that go
before they were written are counted.
"""

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import RcmvaeError
from rcmvae.feedback import Capture, FeedbackStore
from service.metrics import Metrics
from service.store import LazyStore

_log = logging.getLogger("bentoml.rcmvae")


class Seen(NamedTuple):
    """One answered input. The store's own record is made later, off the event loop.

    Attributes:
        prediction_id: as it was answered.
        input: float32 of the signature's shape.
        bundle_version: the version that answered.
        created: aware.
    """

    prediction_id: str
    input: NDArray[np.float32]
    bundle_version: str
    created: datetime

    def capture(self) -> Capture:
        """The record for the store."""
        return Capture(self.prediction_id, self.input, self.bundle_version, self.created)


class CaptureBuffer:
    """Captures of one worker.

    Args:
        store: where captures go.
        metrics: counts what is dropped.
        rows: most captures in memory.
        keep: most captures in the store.
        keep_days: oldest captures in the store, in days; None for any age.
        flush_seconds: how long an input may take to reach the store.
    """

    def __init__(
        self,
        store: LazyStore,
        metrics: Metrics,
        *,
        rows: int,
        keep: int,
        flush_seconds: float,
        keep_days: float | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._rows = rows
        self._keep = keep
        self._keep_days = keep_days
        self._flush_seconds = flush_seconds
        self._recent: OrderedDict[str, Seen] = OrderedDict()
        self._pending: deque[Seen] = deque()
        self._lock = threading.Lock()
        self._flushing = asyncio.Lock()
        self._store_answers = True

    def add(self, answered: Iterable[Seen]) -> None:
        """Remember answered inputs; never blocks on the store."""
        with self._lock:
            for seen in answered:
                self._recent[seen.prediction_id] = seen
                self._pending.append(seen)
            while len(self._recent) > self._rows:
                self._recent.popitem(last=False)
            dropped = len(self._pending) - self._rows
            for _ in range(dropped):
                self._pending.popleft()
        if dropped > 0:
            self._metrics.captures_dropped.inc(dropped)

    async def find(self, prediction_ids: Iterable[str]) -> dict[str, Capture]:
        """Captures by id, from memory or the store; an id that is nowhere is left out.

        An id that is nowhere yet may be on its way from another worker: one flush is waited for.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        wanted = set(prediction_ids)
        found = self._in_memory(wanted)
        if len(found) < len(wanted):
            found |= await self._in_store(wanted - found.keys())
        if len(found) < len(wanted):
            await asyncio.sleep(2 * self._flush_seconds)
            found |= await self._in_store(wanted - found.keys())
        return found

    async def _in_store(self, wanted: set[str]) -> Mapping[str, Capture]:
        return await self._store.run(lambda store: store.captured_many(wanted))

    async def flush(self) -> None:
        """Write what waits; when the store does not answer it waits on, within the bound."""
        async with self._flushing:
            if self._pending:
                await self._flush_pending()

    async def forget(self) -> None:
        """Delete what is too old, here and in the store, also where no traffic pushes it out.

        Raises:
            StoreUnavailable: the store does not answer; the next call tries again.
        """
        if self._keep_days is None:
            return
        oldest = datetime.now(UTC) - timedelta(days=self._keep_days)
        with self._lock:
            # Not up to the first that is young: a clock that was ahead may have written it.
            old = [name for name, seen in self._recent.items() if seen.created < oldest]
            for name in old:
                del self._recent[name]
        await self._store.run(lambda store: store.forget_captures(oldest))

    async def _flush_pending(self) -> None:
        with self._lock:
            batch = list(self._pending)
            self._pending.clear()
        try:
            await self._store.run(lambda store: _save(store, batch, self._keep))
            self._store_answers = True
        except RcmvaeError as error:
            self._put_back(batch)
            if self._store_answers:
                _log.warning("captures wait, the store does not take them: %s", error)
            self._store_answers = False

    def _put_back(self, batch: list[Seen]) -> None:
        with self._lock:
            room = max(0, self._rows - len(self._pending))
            kept = batch[len(batch) - min(room, len(batch)) :]
            self._pending.extendleft(reversed(kept))
        self._metrics.captures_dropped.inc(len(batch) - len(kept))

    def _in_memory(self, wanted: set[str]) -> dict[str, Capture]:
        with self._lock:
            return {i: self._recent[i].capture() for i in wanted if i in self._recent}


def _save(store: FeedbackStore, batch: list[Seen], keep: int) -> None:
    store.save_captures([seen.capture() for seen in batch])
    store.trim_captures(keep)
