"""The micro-batcher: requests of all connections of a worker, run together.

What is queued runs; while it runs, the next batch collects. Few rows run on the event loop, where
a thread would cost more than the run. More rows run in one thread beside it, as does everything
on a GPU. Nothing waits for a batch to fill.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from rcmvae.prediction import PredictionBatch
from service.problem import Problem, RequestRefused, refusal
from service.question import Question, join
from service.queue_metrics import QueueMetrics

_Result = TypeVar("_Result")

_AGAIN = {"Retry-After": "1"}
_FULL = Problem(503, "queue-full", "too many rows wait already", headers=_AGAIN)
_SHUTTING_DOWN = Problem(503, "shutting-down", "the worker is shutting down", headers=_AGAIN)

Ask = Callable[[Question], PredictionBatch]
"""Runs one question; blocks."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may run and wait, in rows.

    Attributes:
        inline_rows: requests and batches of at most so many rows run on the event loop.
        batch_rows: so many rows of larger requests are taken at once for the thread; a request that
            has more by itself is taken alone.
        queue_rows: so many rows may wait; a request is always taken where none wait.
    """

    inline_rows: int
    batch_rows: int
    queue_rows: int


@dataclass(slots=True, eq=False)
class _Waiting:
    """One request in a queue.

    Attributes:
        question: its inputs.
        rows: what it costs.
        finish: makes its answer from the predictions of its own rows.
        answer: where that goes; done already when nobody waits any more.
        queued: when it came, by the loop's clock.
        deadline: when it need not be run any more, by the loop's clock.
    """

    question: Question
    rows: int
    finish: Callable[[PredictionBatch], Any]
    answer: asyncio.Future[Any]
    queued: float
    deadline: float


@dataclass(slots=True)
class _Outcome:
    """What became of a request that was run: a result, or the error in its place."""

    waiting: _Waiting
    result: Any = None
    error: Exception | None = None


class MicroBatcher:
    """Queue and runs of one worker; all methods are for its event loop.

    Args:
        ask: runs a question; called on the event loop and in the thread.
        thread: of one thread, for what is too large for the event loop.
        limits: of runs and queue.
        metrics: of the queue.
    """

    def __init__(self, ask: Ask, thread: Executor, limits: Limits, metrics: QueueMetrics) -> None:
        self._ask = ask
        self._thread = thread
        self._limits = limits
        self._metrics = metrics
        self._small: deque[_Waiting] = deque()
        self._large: deque[_Waiting] = deque()
        self._rows = 0
        self._small_is_due = False
        self._large_runs: asyncio.Task[None] | None = None
        self._closing = False

    async def answer(
        self,
        question: Question,
        finish: Callable[[PredictionBatch], _Result],
        *,
        within_seconds: float,
    ) -> _Result:
        """Queue a question and wait for its answer.

        Args:
            question: one or more rows.
            finish: makes the answer from the predictions of these rows. It is called where they
                ran, so that the answer of a large request does not stop the event loop either.
            within_seconds: a request that waited longer is not run.

        Raises:
            RequestRefused: 503 the queue is full or the worker stops; 504 the deadline passed.
            Exception: what ``ask`` or ``finish`` raised for this request.
        """
        rows = question.rows
        self._require_room(rows)
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = _Waiting(question, rows, finish, loop.create_future(), now, now + within_seconds)
        self._rows += rows
        if rows <= self._limits.inline_rows:
            self._small.append(waiting)
            self._make_small_due(loop)
        else:
            self._large.append(waiting)
            if self._large_runs is None:
                self._large_runs = loop.create_task(self._run_large(loop))
        result: _Result = await waiting.answer
        return result

    async def close(self) -> None:
        """Take nothing more, and finish what is queued."""
        self._closing = True
        self._run_small(asyncio.get_running_loop())
        if self._large_runs is not None:
            await self._large_runs

    def _require_room(self, rows: int) -> None:
        if self._closing:
            raise RequestRefused(_SHUTTING_DOWN)
        if self._rows and self._rows + rows > self._limits.queue_rows:
            raise RequestRefused(_FULL)

    def _make_small_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of this turn of the loop: what else it reads meanwhile comes along."""
        if not self._small_is_due:
            self._small_is_due = True
            loop.call_soon(self._run_small, loop)

    def _run_small(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run all that is queued.

        Under overload a turn of the loop reads hundreds of requests, most of them to be refused:
        with one batch a turn, those that were taken would wait for that again and again.
        """
        self._small_is_due = False
        while self._small:
            batch = self._take(self._small, self._limits.inline_rows, loop.time())
            _settle(self._answers(batch))

    async def _run_large(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._large:
                batch = self._take(self._large, self._limits.batch_rows, loop.time())
                _settle(await loop.run_in_executor(self._thread, self._answers, batch))
        finally:
            self._large_runs = None

    def _take(self, queue: deque[_Waiting], most_rows: int, now: float) -> list[_Waiting]:
        """The oldest requests of a queue that anybody still waits for, at least one if there is."""
        self._metrics.depth.observe(self._rows)
        taken: list[_Waiting] = []
        rows = 0
        while queue and (not taken or rows + queue[0].rows <= most_rows):
            waiting = queue.popleft()
            self._rows -= waiting.rows
            if self._is_wanted(waiting, now):
                taken.append(waiting)
                rows += waiting.rows
        self._metrics.wait.observe_all([now - waiting.queued for waiting in taken])
        return taken

    def _is_wanted(self, waiting: _Waiting, now: float) -> bool:
        if waiting.answer.done():
            return False
        if now > waiting.deadline:
            expected = f"a run within {waiting.deadline - waiting.queued:g} s"
            late = refusal(504, "deadline", "request", expected, "a queue that is longer")
            waiting.answer.set_exception(late)
            return False
        return True

    def _answers(self, batch: Sequence[_Waiting]) -> list[_Outcome]:
        """Run a batch; may be called in the thread, so it leaves futures alone."""
        return [outcome for alike in _alike(batch) for outcome in self._answers_together(alike)]

    def _answers_together(self, alike: Sequence[_Waiting]) -> Iterator[_Outcome]:
        try:
            predictions = self._ask(join([waiting.question for waiting in alike]))
        except Exception as error:  # noqa: BLE001 - it goes to those who wait
            if len(alike) == 1:
                yield _Outcome(alike[0], error=error)
            else:
                # Whose rows it was is not known: by themselves only theirs fail.
                for waiting in alike:
                    yield from self._answers_together([waiting])
            return
        start = 0
        for waiting in alike:
            end = start + len(waiting.question.x)
            own = predictions if len(alike) == 1 else predictions.rows(start, end)
            yield _finished(waiting, own)
            start = end


def _finished(waiting: _Waiting, own: PredictionBatch) -> _Outcome:
    try:
        return _Outcome(waiting, waiting.finish(own))
    except Exception as error:  # noqa: BLE001 - it goes to the one who waits
        return _Outcome(waiting, error=error)


def _alike(batch: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """The requests that can run together, in the order of their first."""
    groups: list[list[_Waiting]] = []
    for waiting in batch:
        for group in groups:
            if group[0].question.runs_with(waiting.question):
                group.append(waiting)
                break
        else:
            groups.append([waiting])
    return groups


def _settle(outcomes: Sequence[_Outcome]) -> None:
    """Hand out results; a request that was cancelled meanwhile gets none."""
    for outcome in outcomes:
        answer = outcome.waiting.answer
        if answer.done():
            continue
        if outcome.error is None:
            answer.set_result(outcome.result)
        else:
            answer.set_exception(outcome.error)
