"""The store on PostgreSQL, on the newest SQLite and on the one that Python comes with."""

import sqlite3
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sqlalchemy import make_url

from rcmvae.errors import (
    ClaimLost,
    FeedbackNotFound,
    IdempotencyConflict,
    InvalidInput,
    PredictionNotFound,
)
from rcmvae.feedback import Capture, Claim, FeedbackCounts, FeedbackStatus, FeedbackStore
from rcmvae.feedback.database import Database
from rcmvae.feedback.revision import upgrade
from rcmvae.feedback.sqlite import choose_driver, open_sqlite
from tests.rcmvae.feedback_fixtures import StillClock, correction, pixels

LEASE = timedelta(seconds=60)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(
    params=[choose_driver(), sqlite3, None], ids=["newest-sqlite", "python-sqlite", "postgresql"]
)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: StillClock
) -> Iterator[FeedbackStore]:
    driver: ModuleType | None = request.param
    if driver is None:
        with FeedbackStore.open(
            request.getfixturevalue("postgres").new_database(), clock=clock
        ) as opened:
            yield opened
        return
    url = make_url(f"sqlite:///{tmp_path / 'a' / 'b' / 'feedback.db'}")
    engine = open_sqlite(url, driver=driver, busy_seconds=5)
    upgrade(engine)
    with FeedbackStore(Database(engine), clock) as opened:
        yield opened


def claimed(store: FeedbackStore, limit: int = 10) -> Claim:
    claim = store.claim(worker="w", limit=limit, lease=LEASE)
    assert claim is not None
    return claim


def test_a_correction_is_read_back_as_it_was_given(store: FeedbackStore, clock: StillClock) -> None:
    (added,) = store.add([correction(3)])
    read = store.get(added.feedback_id)
    assert read == added
    assert read.created == clock.now
    assert (read.label, read.prediction_id, read.bundle_version) == ("7", "prediction-3", "v0")
    assert (read.status, read.applied_version, read.reason) == (FeedbackStatus.QUEUED, None, None)
    np.testing.assert_array_equal(read.input, pixels(3), strict=True)
    assert not read.input.flags.writeable
    assert not added.input.flags.writeable


def test_the_reply_does_not_change_with_the_array_of_the_caller(store: FeedbackStore) -> None:
    item = correction(3)
    (added,) = store.add([item])
    item.input[:] = 0
    np.testing.assert_array_equal(added.input, pixels(3))
    np.testing.assert_array_equal(store.get(added.feedback_id).input, pixels(3))


def test_records_cannot_be_changed(store: FeedbackStore) -> None:
    (added,) = store.add([correction(0)])
    with pytest.raises(FrozenInstanceError):
        added.label = "8"  # type: ignore[misc]


def test_nothing_in_is_nothing_out(store: FeedbackStore) -> None:
    assert store.add([]) == ()
    assert store.claim(worker="w", limit=1, lease=LEASE) is None
    assert store.counts_by_status() == FeedbackCounts()


def test_unknown_ids_are_named_as_such(store: FeedbackStore) -> None:
    with pytest.raises(FeedbackNotFound):
        store.get("0" * 32)
    with pytest.raises(PredictionNotFound):
        store.captured("p")


def test_the_same_key_and_body_give_the_first_reply(store: FeedbackStore) -> None:
    items = [correction(0), correction(1)]
    first = store.add(items, idempotency_key="k", body_sha256="a")
    claim = claimed(store)
    store.mark_applied(claim.token, [claim.records[0].feedback_id], "v1")
    assert store.add(items, idempotency_key="k", body_sha256="a") == first
    counts = store.counts_by_status()
    assert (counts.queued, counts.claimed, counts.applied) == (0, 1, 1)


def test_the_same_key_with_another_body_is_a_conflict(store: FeedbackStore) -> None:
    store.add([correction(0)], idempotency_key="k", body_sha256="a")
    with pytest.raises(IdempotencyConflict):
        store.add([correction(0)], idempotency_key="k", body_sha256="b")
    assert store.counts_by_status().queued == 1


def test_an_empty_submission_is_remembered_too(store: FeedbackStore) -> None:
    assert store.add([], idempotency_key="k", body_sha256="a") == ()
    with pytest.raises(IdempotencyConflict):
        store.add([correction(0)], idempotency_key="k", body_sha256="b")


@pytest.mark.parametrize("key", ["", "k" * 129, "a\0b", "a\nb", "\ud800"])
def test_keys_that_a_database_cannot_hold_are_refused(store: FeedbackStore, key: str) -> None:
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        store.add([correction(0)], idempotency_key=key, body_sha256="a")


def test_a_key_without_its_body_is_a_bug_of_the_caller(store: FeedbackStore) -> None:
    with pytest.raises(ValueError, match="together"):
        store.add([correction(0)], idempotency_key="k")


def test_a_claim_takes_the_oldest_first_and_nobody_else_gets_them(store: FeedbackStore) -> None:
    ids = [record.feedback_id for record in store.add([correction(n) for n in range(5)])]
    first, second = claimed(store, 3), claimed(store, 3)
    assert [record.feedback_id for record in first.records + second.records] == ids
    assert all(record.status is FeedbackStatus.CLAIMED for record in first.records)
    assert first.token != second.token
    assert store.claim(worker="w", limit=3, lease=LEASE) is None


def test_a_lease_ends_and_the_fence_holds(store: FeedbackStore, clock: StillClock) -> None:
    store.add([correction(0)])
    slow = claimed(store)
    assert slow.expires == clock.now + LEASE
    clock.advance(59.999)
    assert store.claim(worker="w", limit=1, lease=LEASE) is None
    clock.advance(0.001)
    quick = claimed(store)
    ids = [record.feedback_id for record in quick.records]
    with pytest.raises(ClaimLost):
        store.mark_applied(slow.token, ids, "slow")
    with pytest.raises(ClaimLost):
        store.reject(slow.token, ids, "slow")
    with pytest.raises(ClaimLost):
        store.renew(slow.token, LEASE)
    with pytest.raises(ClaimLost):
        store.release(slow.token)
    store.mark_applied(quick.token, ids, "quick")
    assert store.get(ids[0]).applied_version == "quick"


def test_a_lapsed_lease_that_nobody_took_still_counts(
    store: FeedbackStore, clock: StillClock
) -> None:
    store.add([correction(0)])
    claim = claimed(store)
    clock.advance(3600)
    store.mark_applied(claim.token, [claim.records[0].feedback_id], "v1")
    assert store.counts_by_status().applied == 1


def test_a_renewed_lease_lasts_longer(store: FeedbackStore, clock: StillClock) -> None:
    store.add([correction(0)])
    claim = claimed(store)
    clock.advance(59)
    assert store.renew(claim.token, LEASE) == clock.now + LEASE
    clock.advance(59)
    assert store.claim(worker="w", limit=1, lease=LEASE) is None
    clock.advance(1)
    assert claimed(store).records


def test_results_are_all_or_none(store: FeedbackStore) -> None:
    mine = store.add([correction(0), correction(1)])
    claim = claimed(store)
    (other,) = store.add([correction(2)])
    ids = [record.feedback_id for record in (*mine, other)]
    with pytest.raises(ClaimLost, match="1 of the claimed"):
        store.mark_applied(claim.token, ids, "v1")
    assert store.counts_by_status().applied == 0


def test_the_same_result_twice_is_harmless_and_another_is_not(store: FeedbackStore) -> None:
    store.add([correction(0)])
    claim = claimed(store)
    ids = [claim.records[0].feedback_id]
    store.mark_applied(claim.token, ids, "v1")
    store.mark_applied(claim.token, ids, "v1")
    with pytest.raises(ClaimLost):
        store.mark_applied(claim.token, ids, "v2")
    with pytest.raises(ClaimLost):
        store.reject(claim.token, ids, "no")
    assert store.get(ids[0]).applied_version == "v1"


def test_a_rejection_has_its_reason_and_is_final(store: FeedbackStore, clock: StillClock) -> None:
    store.add([correction(0)])
    claim = claimed(store)
    feedback_id = claim.records[0].feedback_id
    store.reject(claim.token, [feedback_id], "no free channel")
    record = store.get(feedback_id)
    assert (record.status, record.reason) == (FeedbackStatus.REJECTED, "no free channel")
    clock.advance(1e6)
    assert store.claim(worker="w", limit=1, lease=LEASE) is None


def test_release_queues_again_what_was_not_finished(store: FeedbackStore) -> None:
    records = store.add([correction(0), correction(1)])
    claim = claimed(store)
    store.mark_applied(claim.token, [records[0].feedback_id], "v1")
    store.release(claim.token)
    assert [record.feedback_id for record in claimed(store).records] == [records[1].feedback_id]
    assert store.get(records[0].feedback_id).status is FeedbackStatus.APPLIED


def test_applied_corrections_come_in_the_order_of_posting(store: FeedbackStore) -> None:
    added = store.add([correction(n) for n in range(4)])
    claim = claimed(store)
    for record in reversed(claim.records[1:]):
        store.mark_applied(claim.token, [record.feedback_id], "v1")
    applied = [replace(record, status=FeedbackStatus.QUEUED) for record in store.applied()]
    assert applied == [replace(record, applied_version="v1") for record in added[1:]]


def test_the_oldest_waiting_correction_dates_the_queue(
    store: FeedbackStore, clock: StillClock
) -> None:
    start = clock.now
    store.add([correction(0)])
    clock.advance(5)
    store.add([correction(1)])
    assert store.counts_by_status().oldest_queued == start
    claimed(store, 1)
    assert store.counts_by_status().oldest_queued == start + timedelta(seconds=5)


@pytest.mark.parametrize(("limit", "lease"), [(0, LEASE), (1, timedelta(0))])
def test_a_claim_of_nothing_is_a_bug_of_the_caller(
    store: FeedbackStore, limit: int, lease: timedelta
) -> None:
    with pytest.raises(ValueError, match="expected limit"):
        store.claim(worker="w", limit=limit, lease=lease)


def test_captures_are_found_kept_once_and_trimmed(store: FeedbackStore) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    created = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=zone)
    first = [Capture(f"p{n}", pixels(n), "v1", created) for n in range(1200)]
    store.save_captures(first)
    store.save_captures([Capture("p1199", pixels(0), "v2", created), first[0]])
    found = store.captured("p1199")
    np.testing.assert_array_equal(found.input, pixels(1199), strict=True)
    assert (found.bundle_version, found.created) == ("v1", created)
    assert found.created.tzinfo is UTC
    assert store.trim_captures(2) == 1198
    assert store.trim_captures(2) == 0
    assert store.captured("p1198").prediction_id == "p1198"
    with pytest.raises(PredictionNotFound):
        store.captured("p1197")
    assert store.trim_captures(0) == 2
    with pytest.raises(ValueError, match="keep >= 0"):
        store.trim_captures(-1)


def test_thousands_of_items_fit_in_one_call(store: FeedbackStore) -> None:
    added = store.add([correction(n) for n in range(3000)])
    claim = claimed(store, 3000)
    store.mark_applied(claim.token, [record.feedback_id for record in added], "v1")
    assert store.counts_by_status().applied == 3000


def test_a_claim_can_leave_labels_where_they_are(store: FeedbackStore) -> None:
    first, second = store.add([correction(0, "odd"), correction(1, "7")])
    claim = store.claim(worker="w", limit=9, lease=timedelta(minutes=1), skip_labels={"odd"})
    assert claim is not None
    assert [record.feedback_id for record in claim.records] == [second.feedback_id]
    rest = store.claim(worker="w", limit=9, lease=timedelta(minutes=1))
    assert rest is not None
    assert [record.feedback_id for record in rest.records] == [first.feedback_id]


def test_a_claim_of_some_labels_takes_nothing_else_not_even_what_leaves(
    store: FeedbackStore,
) -> None:
    old, other, wanted = store.add([correction(1), correction(2), correction(3, "new")])
    first = claimed(store, 1)
    store.mark_applied(first.token, [old.feedback_id], "v1")
    store.withdraw(old.feedback_id, "anna")
    claim = store.claim(worker="w", limit=9, lease=LEASE, only_labels={"new"})
    assert claim is not None
    assert [record.feedback_id for record in claim.records] == [wanted.feedback_id]
    assert claim.subtract == ()
    assert store.claim(worker="w", limit=9, lease=LEASE, only_labels={"absent"}) is None
    rest = claimed(store)
    assert [record.feedback_id for record in rest.records] == [other.feedback_id]
    assert [record.feedback_id for record in rest.subtract] == [old.feedback_id]


def test_what_was_ever_set_aside_for_a_reason_is_remembered(store: FeedbackStore) -> None:
    mine = [r.feedback_id for r in store.add([correction(i) for i in range(4)], author="m%y")]
    theirs = [r.feedback_id for r in store.add([correction(9)], author="m_y")]
    claim = claimed(store)
    store.quarantine(claim.token, [mine[0], theirs[0]], "so: and so")
    store.quarantine(claim.token, [mine[1]], "for so: another reason")
    store.reject(claim.token, [mine[2]], "so: but rejected")
    assert store.set_aside("m%y", "so: ") == {mine[0]}
    store.withdraw(mine[0], "m%y")
    assert store.set_aside("m%y", "so: ") == {mine[0]}, "he has said it all the same"
    assert store.set_aside("m%y", "s%") == frozenset()
