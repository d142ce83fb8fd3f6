"""What becomes of corrections whose job died, or lost them, without a report."""

import pytest

from rcmvae.errors import ClaimLost
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.rcmvae.feedback_fixtures import LEASE, StillClock, apply_all, correction


def test_a_correction_of_a_job_that_died_leaves_when_another_prevails(store_url: str) -> None:
    """It was queued again, and a bundle may hold it: to be superseded is not enough."""
    with FeedbackStore.open(store_url) as store:
        (old,) = store.add([correction(0, "7")], author="ann")
        claim = store.claim(worker="w", limit=1, lease=LEASE)
        assert claim is not None  # the bundle holds `old` from here on, and nobody says so
        store.release(claim.token)
        (new,) = store.add([correction(0, "1")], author="ann")
        assert store.get(old.feedback_id).status is FeedbackStatus.REPLACED
        claim = apply_all(store, "v2")
        assert [r.feedback_id for r in claim.records] == [new.feedback_id]
        assert [r.feedback_id for r in claim.subtract] == [old.feedback_id]
        assert store.get(old.feedback_id).status is FeedbackStatus.SUPERSEDED


def test_what_a_job_that_died_took_out_is_added_when_it_prevails_again(store_url: str) -> None:
    clock = StillClock()
    with FeedbackStore.open(store_url, clock=clock) as store:
        (old,) = store.add([correction(0, "7")], author="ann")
        apply_all(store, "v1")
        (new,) = store.add([correction(0, "1")], author="bob")
        claim = store.claim(worker="w", limit=1, lease=LEASE)
        assert claim is not None  # the bundle holds `new` for `old` from here on
        assert [r.feedback_id for r in claim.subtract] == [old.feedback_id]
        clock.advance(61)
        store.add([correction(0, "7")], author="cy")
        claim = apply_all(store, "v2")
        assert [r.feedback_id for r in claim.records] == [old.feedback_id]
        assert [r.feedback_id for r in claim.subtract] == [new.feedback_id]
        assert store.get(old.feedback_id).status is FeedbackStatus.APPLIED
        assert store.get(new.feedback_id).status is FeedbackStatus.SUPERSEDED


@pytest.mark.parametrize("status", [FeedbackStatus.REJECTED, FeedbackStatus.QUARANTINED])
def test_what_is_set_aside_after_a_job_died_leaves(store_url: str, status: FeedbackStatus) -> None:
    with FeedbackStore.open(store_url) as store:
        (item,) = store.add([correction(0)])
        first = store.claim(worker="w", limit=1, lease=LEASE)
        assert first is not None
        store.release(first.token)
        second = store.claim(worker="w", limit=1, lease=LEASE)
        assert second is not None
        refuse = store.reject if status is FeedbackStatus.REJECTED else store.quarantine
        refuse(second.token, [item.feedback_id], "no")
        assert store.waiting().leaving == 1
        claim = apply_all(store, "v1")
        assert (claim.records, len(claim.subtract)) == ((), 1)
        kept = store.get(item.feedback_id)
        assert (kept.status, kept.reason) == (status, "no")
        assert store.claim(worker="w", limit=1, lease=LEASE) is None


def test_what_a_dead_job_held_is_withdrawn_by_the_next(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        (item,) = store.add([correction(0)])
        claim = store.claim(worker="w", limit=1, lease=LEASE)
        assert claim is not None
        store.release(claim.token)
        assert store.withdraw(item.feedback_id, "ann").status is FeedbackStatus.WITHDRAWING
        claim = apply_all(store, "v1")
        assert [r.feedback_id for r in claim.subtract] == [item.feedback_id]
        assert store.get(item.feedback_id).status is FeedbackStatus.WITHDRAWN


def test_an_input_is_lent_to_one_job_at_a_time(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        store.add([correction(0, "7")], author="ann")
        first = store.claim(worker="w", limit=1, lease=LEASE)
        assert first is not None
        store.add([correction(0, "1"), correction(1, "1")], author="ann")
        assert store.waiting().count == 1
        second = store.claim(worker="v", limit=9, lease=LEASE)
        assert second is not None
        assert [len(second.records), len(second.subtract)] == [1, 0]
        store.mark_applied(first.token, [first.records[0].feedback_id], "v1")
        third = apply_all(store, "v2")
        assert [r.label for r in third.records] == ["1"]
        assert third.subtract[0].feedback_id == first.records[0].feedback_id


def test_a_lease_that_another_claim_ended_is_over_as_a_whole(store_url: str) -> None:
    """A job that lost a part could else promote the rest together with what is another's."""
    clock = StillClock()
    with FeedbackStore.open(store_url, clock=clock) as store:
        store.add([correction(0), correction(1)])
        slow = store.claim(worker="slow", limit=2, lease=LEASE)
        assert slow is not None
        clock.advance(61)
        assert store.claim(worker="w", limit=1, lease=LEASE) is not None
        with pytest.raises(ClaimLost):
            store.renew(slow.token, LEASE)
