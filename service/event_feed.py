"""Events of one worker on their way to the streams of GET /events.

A reader that is slower than the events loses the oldest ones and never holds anybody up.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client import Counter

from service.problem import Problem, RequestRefused

QUEUE = 256
"""Most events that wait for one reader."""

RECENT = 64
"""Newest predictions that a new reader gets at once."""


class EventKind(StrEnum):
    """The names of events; ``prediction`` happens, the others state how something stands."""

    PREDICTION = "prediction"
    BUNDLE = "bundle"
    RETRAIN = "retrain"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: its name.
        data: one line of JSON.
        place: of a prediction, in the order in which inputs reached the store; by it a reader that
            was cut off says what it has.
    """

    kind: EventKind
    data: str
    place: int | None = None


@dataclass(slots=True, eq=False)
class Subscriber:
    """One reader.

    Attributes:
        waiting: events that it has not read.
    """

    waiting: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def offer(self, event: Event) -> bool:
        """Put an event into the queue, in place of the oldest where that is full: False then."""
        has_room = not self.waiting.full()
        if not has_room:
            self.waiting.get_nowait()
        self.waiting.put_nowait(event)
        return has_room


class EventFeed:
    """Readers, and what a new one has to know; all methods are for the event loop.

    Args:
        most: most readers at once.
        lost: counts events that a reader was too slow for.
    """

    def __init__(self, most: int, lost: Counter) -> None:
        self._most = most
        self._lost = lost
        self._subscribers: set[Subscriber] = set()
        self._states: dict[EventKind, Event] = {}
        self._recent: deque[Event] = deque(maxlen=RECENT)

    @property
    def subscribers(self) -> int:
        """How many read."""
        return len(self._subscribers)

    def require_room(self) -> None:
        """Refuse one reader too many.

        Raises:
            RequestRefused: 503.
        """
        if len(self._subscribers) >= self._most:
            detail = f"{self._most} streams of events are open at this worker, which is the most"
            headers = {"Retry-After": "10"}
            raise RequestRefused(Problem(503, "too-many-streams", detail, headers=headers))

    @contextmanager
    def subscribed(self, after: int | None) -> Iterator[Subscriber]:
        """A reader until the end of the block.

        Args:
            after: place of the last prediction that it has; None for one that has none.

        Raises:
            RequestRefused: as ``require_room``.
        """
        self.require_room()
        subscriber = Subscriber()
        recent = [e for e in self._recent if after is None or (e.place or 0) > after]
        for event in (*self._states.values(), *recent):
            subscriber.offer(event)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def publish(self, event: Event) -> None:
        """Tell every reader. A state that is as it was is no event."""
        if event.kind is EventKind.PREDICTION:
            self._recent.append(event)
        elif self._states.get(event.kind) == event:
            return
        else:
            self._states[event.kind] = event
        for subscriber in self._subscribers:
            if not subscriber.offer(event):
                self._lost.inc()
