"""Posts of feedback on their way into the store: those that come at once share one commit.

A commit waits for the disk, and the store takes one writer at a time. While one commit runs, what
comes meanwhile is gathered for the next; a post that comes alone is written at once. Nobody is
answered before the commit that holds his post.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rcmvae.errors import IdempotencyInFlight, StoreUnavailable
from rcmvae.feedback import FeedbackRecord, FeedbackStore, Submission
from service.store import LazyStore

MOST_ITEMS = 4096
"""Corrections in one commit, unless a single post has more: other processes write too."""
_MOST_POSTS = 256


Outcome = tuple[FeedbackRecord, ...] | Exception


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
        self._apart: set[asyncio.Task[None]] = set()

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

    async def _write_group(self, group: Sequence[_Waiting], *, wait: bool = False) -> None:
        def add(store: FeedbackStore) -> Sequence[Outcome]:
            return store.add_together([each.submission for each in group], wait=wait)

        try:
            outcomes = await self._store.run(add)
        except StoreUnavailable as error:
            outcomes = [error] * len(group)
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            if len(group) > 1:  # nobody suffers for another's post
                for each in group:
                    await self._write_group([each])
                return
            outcomes = [error]
        for each, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, IdempotencyInFlight) and not wait:
                self._write_apart(each)
            else:
                _settle(each.outcome, outcome)

    def _write_apart(self, post: _Waiting) -> None:
        """Write a post that has to wait for its key; the others go on meanwhile."""
        task = asyncio.create_task(self._write_group([post], wait=True))
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)


def _settle(future: asyncio.Future[tuple[FeedbackRecord, ...]], outcome: Outcome) -> None:
    if future.done():  # the request ended at its deadline
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
