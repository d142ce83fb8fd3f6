"""Posts of feedback on their way into the store: those that come at once share one commit.

A commit waits for the disk, and the store takes one writer at a time. While one commit runs, what
comes meanwhile is gathered for the next; a post that comes alone is written at once. Nobody is
answered before the commit that holds his post.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rcmvae.errors import IdempotencyInFlight
from rcmvae.feedback import FeedbackRecord, FeedbackStore, Submission
from service.store import LazyStore

MOST_ITEMS = 4096
"""Corrections in one commit, unless a single post has more: other processes write too."""
_MOST_POSTS = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A post, and who waits for what comes of it."""

    submission: Submission
    outcome: asyncio.Future[tuple[FeedbackRecord, ...]]


class FeedbackQueue:
    """Posts of one worker, all from one event loop.

    Args:
        store: where they go.
    """

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, submission: Submission) -> tuple[FeedbackRecord, ...]:
        """Return the corrections once they are durable; see `FeedbackStore.add`.

        Raises:
            StoreUnavailable, IdempotencyConflict, IdempotencyInFlight.
        """
        waiting = _Waiting(submission, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await waiting.outcome

    async def _write(self) -> None:
        while self._waiting:
            await self._write_group(self._next_group())

    def _next_group(self) -> list[_Waiting]:
        """The oldest posts; those that nobody waits for any more are left out."""
        group: list[_Waiting] = []
        items = 0
        while self._waiting and len(group) < _MOST_POSTS:
            items += len(self._waiting[0].submission.items)
            if group and items > MOST_ITEMS:
                break
            first = self._waiting.popleft()
            if not first.outcome.done():
                group.append(first)
        return group

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        def add(store: FeedbackStore) -> Sequence[tuple[FeedbackRecord, ...] | Exception]:
            return store.add_together([each.submission for each in group])

        try:
            outcomes = await self._store.run(add)
        except IdempotencyInFlight as error:
            # It is the key of one of them.
            if len(group) > 1:
                for each in group:
                    await self._write_group([each])
                return
            outcomes = [error]
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            outcomes = [error] * len(group)
        for each, outcome in zip(group, outcomes, strict=True):
            _settle(each.outcome, outcome)


def _settle(
    future: asyncio.Future[tuple[FeedbackRecord, ...]],
    outcome: tuple[FeedbackRecord, ...] | Exception,
) -> None:
    if future.done():  # the request ended at its deadline
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
