"""Posts that come at once share a commit, and each gets its own outcome."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgresql import PostgresServer
from rcmvae.errors import IdempotencyConflict, StoreUnavailable
from rcmvae.feedback import FeedbackStore, NewFeedback, Submission
from rcmvae.feedback.postgresql import lock_keys
from service.feedback_queue import FeedbackQueue
from service.store import LazyStore
from tests.rcmvae.feedback_fixtures import pixels, url_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LazyStore]:
    lazy = LazyStore(url_of(tmp_path / "f.db"))
    yield lazy
    lazy.close()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many posts each commit had."""
    sizes: list[int] = []
    add_together = FeedbackStore.add_together

    def counted(self: FeedbackStore, group: list[Submission], *, wait: bool) -> Any:
        sizes.append(len(group))
        return add_together(self, group, wait=wait)

    monkeypatch.setattr(FeedbackStore, "add_together", counted)
    return sizes


def said(number: int, key: str | None = None, body: str | None = None) -> Submission:
    return Submission([NewFeedback("a", pixels(number))], "ann", None, key, body)


def outcomes(*posts: Coroutine[Any, Any, Any]) -> list[Any]:
    async def gathered() -> list[Any]:
        return await asyncio.gather(*posts, return_exceptions=True)

    return asyncio.run(gathered())


def test_what_comes_at_once_shares_a_commit(store: LazyStore, groups: list[int]) -> None:
    queue = FeedbackQueue(store)
    found = outcomes(*(queue.add(said(n)) for n in range(40)))
    assert sum(groups) == 40
    assert len(groups) < 5
    assert len({records[0].feedback_id for records in found}) == 40
    assert [records[0].input_sha256 for records in found] == [
        store.store().get(records[0].feedback_id).input_sha256 for records in found
    ]


def test_a_conflict_is_one_posts_own(store: LazyStore) -> None:
    queue = FeedbackQueue(store)
    posts = [said(1, "k", "1"), said(2, "k", "2"), said(3, "k", "1"), said(4)]
    first, conflict, repeated, other = outcomes(*(queue.add(post) for post in posts))
    assert repeated == first
    assert isinstance(conflict, IdempotencyConflict)
    assert store.store().counts_by_status().queued == 2
    assert other[0].label == "a"


def test_an_error_reaches_everybody_and_the_next_group_goes_on(
    store: LazyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = FeedbackQueue(store)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(FeedbackStore, "add_together", away)
        found = outcomes(queue.add(said(1)), queue.add(said(2)))
    assert [str(error) for error in found] == ["away", "away"]
    assert len(outcomes(queue.add(said(3)))[0]) == 1


def test_a_post_that_fails_fails_alone(store: LazyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, add_together = FeedbackQueue(store), FeedbackStore.add_together

    def refuses_one(self: FeedbackStore, group: list[Submission], *, wait: bool) -> Any:
        if any(each.idempotency_key == "k" for each in group):
            raise ValueError("not this one")
        return add_together(self, group, wait=wait)

    monkeypatch.setattr(FeedbackStore, "add_together", refuses_one)
    bad, other = outcomes(queue.add(said(1, "k", "1")), queue.add(said(2)))
    assert isinstance(bad, ValueError)
    assert len(other) == 1


def test_a_key_in_flight_holds_up_nobody_else(postgres: PostgresServer) -> None:
    """Another process has not ended its use of the key; what has none is stored meanwhile."""
    store = LazyStore(postgres.new_database())
    queue = FeedbackQueue(store)

    async def meanwhile() -> tuple[int, int]:
        with store.store().database.write() as other:
            lock_keys(other, [("ann", "k")], wait=False)
            busy = asyncio.create_task(queue.add(said(1, "k", "1")))
            free = await queue.add(said(2))
            later = await queue.add(said(3))
            assert not busy.done()
        return len(free) + len(later), len(await busy)

    assert asyncio.run(meanwhile()) == (2, 1)
    store.close()


def test_what_nobody_waits_for_is_not_written(store: LazyStore) -> None:
    queue = FeedbackQueue(store)

    async def given_up() -> None:
        gone = asyncio.create_task(queue.add(said(1)))
        await asyncio.sleep(0)
        gone.cancel()
        await queue.add(said(2))

    asyncio.run(given_up())
    assert store.store().counts_by_status().queued == 1
