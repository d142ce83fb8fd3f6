"""Captures and labels in the page's picture, as the current bundle sees them.

The store has inputs; where they lie, and what they are taken for, is up to the bundle. A worker
predicts each of them once a version and remembers the answer, in bounded number. The work is done
in small parts in the thread for large work, so that predictions come between.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rcmvae.feedback import GivenLabel, PlacedCapture, Span
from rcmvae.input_rows import fits
from service.points import SCORES, microseconds, scores_of_batch
from service.served import Served
from service.store import LazyStore

CHUNK = 256
"""Inputs that are predicted at once: some 20 ms of small images."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class CapturePoints:
    """n captures in their order.

    Attributes:
        place: in the store, int64 (n,), ascending.
        ids: prediction ids.
        input_sha256: of the inputs.
        bundle_version: that answered first.
        created: microseconds since 1970 UTC, int64 (n,).
        scores: of type SCORES, (n,).
    """

    place: NDArray[np.int64]
    ids: list[str]
    input_sha256: list[str]
    bundle_version: list[str]
    created: NDArray[np.int64]
    scores: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int) -> "CapturePoints":
        """From row ``start`` on."""
        return CapturePoints(
            self.place[start:],
            self.ids[start:],
            self.input_sha256[start:],
            self.bundle_version[start:],
            self.created[start:],
            self.scores[start:],
        )


class LivePoints:
    """What one worker remembers of the store's inputs.

    Args:
        store: where they are.
        large_work: the one thread for it.
        most: most captures that are remembered, and most labels.
    """

    def __init__(self, store: LazyStore, large_work: Executor, most: int) -> None:
        self._store = store
        self._large_work = large_work
        self._most = most
        self._served: Served | None = None
        self._parts: list[CapturePoints] = []
        self._seen = 0
        self._labelled: dict[str, NDArray[np.void] | None] = {}
        self._busy = asyncio.Lock()

    @property
    def held(self) -> int:
        """How many captures are remembered."""
        return sum(len(part) for part in self._parts)

    async def captures(self, served: Served, span: Span, limit: int) -> CapturePoints:
        """The newest captures of a span that fit the bundle, oldest first.

        Args:
            served: what judges them.
            span: as the store had it a moment ago; what came later may be among them.
            limit: at most so many.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        async with self._busy:
            self._begin(served)
            if span.last < self._seen:  # another store than before
                self._parts, self._seen = [], 0
            oldest = max(span.first, span.last - self._most + 1)
            self._seen = max(self._seen, oldest - 1)
            while self._seen < span.last:
                await self._advance(served, span.last)
            points = await self._beside(partial(_joined, self._parts, oldest))
            # One part in the place of many: a request brings few.
            self._parts = [points]
        return points.rows(max(0, len(points) - limit))

    async def labelled(
        self, served: Served, given: Sequence[GivenLabel]
    ) -> dict[str, NDArray[np.void]]:
        """SCORES of labelled inputs by feedback id; one that does not fit the bundle is left out.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        wanted = [each.feedback_id for each in given[: self._most]]
        async with self._busy:
            self._begin(served)
            missing = [name for name in wanted if name not in self._labelled]
            for start in range(0, len(missing), CHUNK):
                await self._judge(served, missing[start : start + CHUNK])
            scores = {name: self._labelled[name] for name in wanted}
            if len(self._labelled) > self._most:
                self._labelled = dict(scores)
        return {name: row for name, row in scores.items() if row is not None}

    def _begin(self, served: Served) -> None:
        """Forget what another bundle said."""
        if self._served is not served:
            self._served, self._seen = served, 0
            self._parts, self._labelled = [], {}

    async def _advance(self, served: Served, last: int) -> None:
        after = self._seen
        placed = await self._store.run(lambda store: store.captures_after(after, CHUNK))
        fitting = [each for each in placed if fits(each.capture.input, served.manifest.input)]
        if fitting:
            self._parts.append(await self._beside(partial(_judged, served, fitting)))
        # Last, since a request may be cancelled meanwhile. What was there may be trimmed by now.
        self._seen = placed[-1].place if placed else last

    async def _judge(self, served: Served, names: Sequence[str]) -> None:
        found = await self._store.run(lambda store: store.labelled_inputs(names))
        signature = served.manifest.input
        fitting = [name for name in names if name in found and fits(found[name], signature)]
        self._labelled |= dict.fromkeys(names)
        if fitting:
            x = np.stack([found[name] for name in fitting])
            scores = await self._beside(lambda: scores_of_batch(served.predictor.predict(x)))
            self._labelled |= dict(zip(fitting, scores, strict=True))

    async def _beside(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._large_work, work)


def _judged(served: Served, placed: Sequence[PlacedCapture]) -> CapturePoints:
    captures = [each.capture for each in placed]
    batch = served.predictor.predict(np.stack([capture.input for capture in captures]))
    return CapturePoints(
        place=np.array([each.place for each in placed], dtype=np.int64),
        ids=[capture.prediction_id for capture in captures],
        input_sha256=[each.input_sha256 for each in placed],
        bundle_version=[capture.bundle_version for capture in captures],
        created=np.array([microseconds(c.created) for c in captures], dtype=np.int64),
        scores=scores_of_batch(batch),
    )


def _joined(parts: Sequence[CapturePoints], oldest: int) -> CapturePoints:
    """The captures of all parts from a place on."""
    none = np.empty(0, dtype=np.int64)
    joined = CapturePoints(
        place=np.concatenate([none, *(part.place for part in parts)]),
        ids=[name for part in parts for name in part.ids],
        input_sha256=[digest for part in parts for digest in part.input_sha256],
        bundle_version=[version for part in parts for version in part.bundle_version],
        created=np.concatenate([none, *(part.created for part in parts)]),
        scores=np.concatenate([np.empty(0, SCORES), *(part.scores for part in parts)]),
    )
    return joined.rows(int(np.searchsorted(joined.place, oldest)))
