"""What an author finds again: keys of his own, and corrections page by page."""

import pytest

from rcmvae.errors import FeedbackNotFound
from rcmvae.feedback import FeedbackFilter, FeedbackStatus, FeedbackStore
from tests.rcmvae.feedback_fixtures import apply_all, correction


def test_keys_are_an_authors_own(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        key = {"idempotency_key": "k", "body_sha256": "b"}
        (ann,) = store.add([correction(0)], author="ann", **key)
        (bob,) = store.add([correction(1)], author="bob", **key)
        assert store.add([correction(0)], author="ann", **key) == (ann,)
        assert store.first_reply("k", "b", "bob") == (bob,)
        assert store.first_reply("k", "b", "cy") is None


def test_a_listing_shows_what_was_asked_for(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        store.add([correction(n, "17"[n % 2]) for n in range(6)], author="ann", source="import")
        store.add([correction(9, "7")], author="bob")
        apply_all(store, "v1", limit=3)
        ask = FeedbackFilter(FeedbackStatus.QUEUED, "7", "ann")
        page = store.listing(ask, limit=1)
        (record,) = page.records
        assert (record.label, record.author, record.source) == ("7", "ann", "import")
        assert page.next_before is not None
        rest = store.listing(ask, limit=5, before=page.next_before)
        assert (len(rest.records), rest.next_before) == (1, None)
        assert store.listing(FeedbackFilter(author="cy"), limit=1).records == ()
        with pytest.raises(ValueError, match="limit >= 1"):
            store.listing(ask, limit=0)
        with pytest.raises(FeedbackNotFound):
            store.events("0" * 32)
        with pytest.raises(FeedbackNotFound):
            store.withdraw("0" * 32, "ann")
