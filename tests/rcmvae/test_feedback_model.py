"""The store against a list in memory: whatever is done to both, both say the same."""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rcmvae.errors import ClaimLost, IdempotencyConflict, PredictionNotFound
from rcmvae.feedback import Capture, FeedbackCounts, FeedbackStatus, FeedbackStore
from tests.rcmvae.feedback_fixtures import StillClock, correction, pixels, url_of

LABELS = st.sampled_from(["0", "7", "é", "零", "a b", "x" * 64])
NO_TOKEN = "no such token"


@dataclass
class Item:
    """What the model knows of one correction."""

    feedback_id: str
    seed: int
    label: str
    created: datetime
    status: FeedbackStatus = FeedbackStatus.QUEUED
    token: str | None = None
    expires: datetime | None = None
    version: str | None = None
    reason: str | None = None

    def holds(
        self, token: str, status: FeedbackStatus, version: str | None, why: str | None
    ) -> bool:
        final = (self.status, self.version, self.reason) == (status, version, why)
        return self.token == token and (self.status is FeedbackStatus.CLAIMED or final)

    def due(self, now: datetime) -> bool:
        lapsed = self.expires is not None and self.expires <= now
        return self.status is FeedbackStatus.QUEUED or (
            self.status is FeedbackStatus.CLAIMED and lapsed
        )

    def end_lease(self, now: datetime) -> None:
        """A claim ends every lease whose time is over, not only of what it takes."""
        if self.status is FeedbackStatus.CLAIMED and self.due(now):
            self.status, self.token, self.expires = FeedbackStatus.QUEUED, None, None


class StoreAndModel(RuleBasedStateMachine):
    """Rules are the public methods; invariants compare everything that can be seen."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = StillClock()
        self.store = self.opened()
        self.items: list[Item] = []
        self.keys: dict[str, tuple[str, tuple[Any, ...]]] = {}
        self.captures: dict[str, int] = {}
        self.tokens = [NO_TOKEN]

    def opened(self) -> FeedbackStore:
        return FeedbackStore.open(url_of(self.folder / "feedback.db"), clock=self.clock)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(labels=st.lists(LABELS, max_size=4))
    def add(self, labels: list[str]) -> None:
        self.remember(labels, self.store.add(self.corrections(labels)))

    @rule(
        labels=st.lists(LABELS, max_size=2),
        key=st.sampled_from("kl"),
        body=st.sampled_from("ab"),
    )
    def add_with_key(self, labels: list[str], key: str, body: str) -> None:
        known = self.keys.get(key)
        items = self.corrections(labels)
        if known is not None and known[0] != body:
            with pytest.raises(IdempotencyConflict):
                self.store.add(items, idempotency_key=key, body_sha256=body)
            return
        reply = self.store.add(items, idempotency_key=key, body_sha256=body)
        if known is not None:
            assert reply == known[1]
            return
        self.keys[key] = (body, reply)
        self.remember(labels, reply)

    def corrections(self, labels: list[str]) -> list[Any]:
        start = len(self.items)
        return [correction(start + number, label) for number, label in enumerate(labels)]

    def remember(self, labels: list[str], reply: tuple[Any, ...]) -> None:
        for label, record in zip(labels, reply, strict=True):
            item = Item(record.feedback_id, len(self.items), label, self.clock.now)
            self.items.append(item)

    @rule(seconds=st.sampled_from([0.001, 5, 10]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.opened()

    @rule(limit=st.integers(1, 4), seconds=st.sampled_from([5, 10]))
    def claim(self, limit: int, seconds: int) -> None:
        due = [item for item in self.items if item.due(self.clock.now)][:limit]
        for item in self.items:
            item.end_lease(self.clock.now)
        claim = self.store.claim(worker="w", limit=limit, lease=timedelta(seconds=seconds))
        if claim is None:
            assert not due
            return
        assert [r.feedback_id for r in claim.records] == [item.feedback_id for item in due]
        assert claim.token not in self.tokens
        self.tokens.append(claim.token)
        for item in due:
            item.status, item.token = FeedbackStatus.CLAIMED, claim.token
            item.expires = claim.expires

    @precondition(lambda self: self.items)
    @rule(data=st.data(), apply=st.booleans(), note=st.sampled_from(["v1", "v2"]))
    def finish(self, data: st.DataObject, apply: bool, note: str) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        own = [item for item in self.items if item.token == token]
        chosen = data.draw(st.lists(st.sampled_from(own or self.items), unique_by=id, max_size=3))
        chosen += data.draw(st.lists(st.sampled_from(self.items), max_size=1))
        status = FeedbackStatus.APPLIED if apply else FeedbackStatus.REJECTED
        version, why = (note, None) if apply else (None, note)
        method = self.store.mark_applied if apply else self.store.reject
        ids = [item.feedback_id for item in chosen]
        if not all(item.holds(token, status, version, why) for item in chosen):
            with pytest.raises(ClaimLost):
                method(token, ids, note)
            return
        method(token, ids, note)
        for item in chosen:
            item.status, item.version, item.reason, item.expires = status, version, why, None

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        own = [item for item in self.items if item.token == token]
        if not own:
            with pytest.raises(ClaimLost):
                self.store.release(token)
            return
        self.store.release(token)
        for item in own:
            if item.status is FeedbackStatus.CLAIMED:
                item.status, item.token, item.expires = FeedbackStatus.QUEUED, None, None

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        own = [i for i in self.items if i.token == token and i.status is FeedbackStatus.CLAIMED]
        if not own:
            with pytest.raises(ClaimLost):
                self.store.renew(token, timedelta(seconds=10))
            return
        expires = self.store.renew(token, timedelta(seconds=10))
        for item in own:
            item.expires = expires

    @rule(names=st.lists(st.sampled_from("pqrst"), max_size=4), seed=st.integers(0, 9))
    def save_captures(self, names: list[str], seed: int) -> None:
        self.store.save_captures(
            [Capture(n, pixels(seed + i), "v", self.clock.now) for i, n in enumerate(names)]
        )
        for index, name in enumerate(names):
            self.captures.setdefault(name, seed + index)

    @rule(keep=st.integers(0, 3))
    def trim_captures(self, keep: int) -> None:
        gone = list(self.captures)[: max(0, len(self.captures) - keep)]
        assert self.store.trim_captures(keep) == len(gone)
        for name in gone:
            del self.captures[name]

    @invariant()
    def counts_agree(self) -> None:
        statuses = [item.status for item in self.items]
        queued = [i.created for i in self.items if i.status is FeedbackStatus.QUEUED]
        assert self.store.counts_by_status() == FeedbackCounts(
            **{status.value: statuses.count(status) for status in FeedbackStatus},
            oldest_queued=queued[0] if queued else None,
        )

    @invariant()
    def records_agree(self) -> None:
        for item in self.items[-6:]:
            record = self.store.get(item.feedback_id)
            assert (record.label, record.status) == (item.label, item.status)
            assert (record.applied_version, record.reason) == (item.version, item.reason)
            assert record.created == item.created
            assert (record.input == pixels(item.seed)).all()

    @invariant()
    def applied_agree(self) -> None:
        applied = [i.feedback_id for i in self.items if i.status is FeedbackStatus.APPLIED]
        assert [record.feedback_id for record in self.store.applied()] == applied

    @invariant()
    def captures_agree(self) -> None:
        for name in "pqrst":
            if name in self.captures:
                assert (self.store.captured(name).input == pixels(self.captures[name])).all()
            else:
                with pytest.raises(PredictionNotFound):
                    self.store.captured(name)


StoreAndModel.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_store_and_model_agree = StoreAndModel.TestCase
