"""Events on their way to readers: bounded, in order, never blocking."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter

from service.event_feed import QUEUE, RECENT, Event, EventFeed, EventKind, Subscriber
from service.problem import RequestRefused


def feed_of(most: int = 3) -> EventFeed:
    return EventFeed(most, Counter("lost", "Lost.", registry=CollectorRegistry()))


def lost(feed: EventFeed) -> float:
    return feed._lost._value.get()  # type: ignore[no-any-return]


def prediction(place: int) -> Event:
    return Event(EventKind.PREDICTION, f'{{"n": {place}}}', place)


def read(subscriber: Subscriber) -> list[Event]:
    return [subscriber.waiting.get_nowait() for _ in range(subscriber.waiting.qsize())]


def places(events: Sequence[Event]) -> list[int | None]:
    return [event.place for event in events]


@given(st.integers(0, 3 * QUEUE))
def test_a_slow_reader_loses_the_oldest_and_keeps_the_order(count: int) -> None:
    feed = feed_of()
    with feed.subscribed(None) as slow, feed.subscribed(None) as other:
        for i in range(count):
            feed.publish(prediction(i))
            assert places(read(other)) == [i]
        assert places(read(slow)) == list(range(max(0, count - QUEUE), count))
    assert lost(feed) == max(0, count - QUEUE)


def test_a_new_reader_gets_the_states_and_the_newest_predictions() -> None:
    feed = feed_of()
    feed.publish(Event(EventKind.BUNDLE, "1"))
    for i in range(RECENT + 5):
        feed.publish(prediction(i + 1))
    feed.publish(Event(EventKind.BUNDLE, "2"))
    with feed.subscribed(None) as reader:
        first, *rest = read(reader)
    assert first == Event(EventKind.BUNDLE, "2")
    assert places(rest) == list(range(6, RECENT + 6))


def test_who_comes_back_gets_what_it_has_not_seen() -> None:
    feed = feed_of()
    for i in range(1, 11):
        feed.publish(prediction(i))
    with feed.subscribed(7) as reader:
        assert places(read(reader)) == [8, 9, 10]


def test_a_state_that_is_as_it_was_is_no_event() -> None:
    feed = feed_of()
    with feed.subscribed(None) as reader:
        for data in ("1", "1", "2", "2", "1"):
            feed.publish(Event(EventKind.DRIFT, data))
        assert [event.data for event in read(reader)] == ["1", "2", "1"]


def test_one_reader_too_many_is_refused_until_another_leaves() -> None:
    feed = feed_of(most=2)
    with feed.subscribed(None):
        with feed.subscribed(None):
            with pytest.raises(RequestRefused) as refused, feed.subscribed(None):
                pass
            assert refused.value.problem.status == 503
        assert feed.subscribers == 1
        with feed.subscribed(None):
            assert feed.subscribers == 2
    assert feed.subscribers == 0
