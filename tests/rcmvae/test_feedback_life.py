"""Whatever people and jobs do, and wherever jobs die: a bundle ends up with what prevails.

The bundle is played by a set of feedback ids, which a job changes as a label map would be: adding
what is there and taking out what is not there change nothing.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rcmvae.errors import ClaimLost
from rcmvae.feedback import Claim, FeedbackFilter, FeedbackStatus, FeedbackStore
from tests.rcmvae.feedback_fixtures import LEASE, StillClock, apply_all, correction, url_of

AUTHORS = st.sampled_from(["ann", "bob", "cy"])
INPUTS = st.integers(0, 2)
LABELS = st.sampled_from("17")


class LifeAndBundle(RuleBasedStateMachine):
    """People post and withdraw; two jobs at a time claim, promote, die or report."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = StillClock()
        self.store = FeedbackStore.open(url_of(self.folder / "feedback.db"), clock=self.clock)
        self.said: list[tuple[str, int, str, str]] = []  # id, input, author, label
        self.silent: set[str] = set()  # taken back, set aside or refused
        self.held: set[str] = set()
        self.lent: set[str] = set()
        self.claims: list[Claim] = []
        self.told = dict[str, int]()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.drain()
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(author=AUTHORS, items=st.lists(st.tuples(INPUTS, LABELS), min_size=1, max_size=3))
    def post(self, author: str, items: list[tuple[int, str]]) -> None:
        new = [correction(seed, label) for seed, label in items]
        for (seed, label), record in zip(items, self.store.add(new, author=author), strict=True):
            self.said.append((record.feedback_id, seed, author, label))

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        feedback_id = data.draw(st.sampled_from([said[0] for said in self.said]))
        before = self.store.get(feedback_id).status
        record = self.store.withdraw(feedback_id, "op", "mistaken")
        assert record.status in (FeedbackStatus.WITHDRAWING, FeedbackStatus.WITHDRAWN)
        never_lent = before is FeedbackStatus.QUEUED and feedback_id not in self.lent
        if never_lent or before is FeedbackStatus.SUPERSEDED:
            assert record.status is FeedbackStatus.WITHDRAWN
        self.silent.add(feedback_id)

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        claim = self.store.claim(worker="w", limit=limit, lease=LEASE)
        if claim is not None:
            self.claims.append(claim)
            self.lent |= {record.feedback_id for record in (*claim.records, *claim.subtract)}

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), tell=st.booleans())
    def promote(self, data: st.DataObject, tell: bool) -> None:
        """A job whose claim holds promotes a bundle, and lives to tell it or not."""
        claim = self.taken(data)
        if self.promoted(claim) and tell:
            self.report(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), how=st.sampled_from(["release", "reject", "quarantine"]))
    def give_up(self, data: st.DataObject, how: str) -> None:
        claim = self.taken(data)
        ids = [record.feedback_id for record in claim.records]
        try:
            if how == "release":
                self.store.release(claim.token)
                return
            (self.store.reject if how == "reject" else self.store.quarantine)(
                claim.token, ids, "no"
            )
            self.store.release(claim.token)
        except ClaimLost:
            return
        self.silent.update(ids)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        feedback_id = data.draw(st.sampled_from([said[0] for said in self.said]))
        if self.store.get(feedback_id).status is FeedbackStatus.QUARANTINED:
            self.store.accept(feedback_id, "op")
            assert self.store.get(feedback_id).status is not FeedbackStatus.QUARANTINED
            self.silent.discard(feedback_id)

    @rule()
    def leases_end(self) -> None:
        self.clock.advance(61)

    @rule()
    def drain(self) -> None:
        """Jobs go on until nothing is left to do, and then the bundle is as it should be."""
        self.clock.advance(61)
        self.claims.clear()
        for _ in range(50):
            claim = self.store.claim(worker="w", limit=2, lease=LEASE)
            if claim is None:
                break
            self.lent |= {record.feedback_id for record in (*claim.records, *claim.subtract)}
            assert self.promoted(claim)
            self.report(claim)
        assert self.store.claim(worker="w", limit=9, lease=LEASE) is None
        waiting = self.store.waiting()
        assert (waiting.count, waiting.leaving) == (0, 0)
        inputs = {said[0]: said[1] for said in self.said}
        assert len({inputs[name] for name in self.held}) == len(self.held)
        labels = {said[0]: said[3] for said in self.said}
        assert {inputs[i]: labels[i] for i in self.held} == self.expected()
        assert self.held == {record.feedback_id for record in self.store.applied()}

    def taken(self, data: st.DataObject) -> Claim:
        return self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))

    def promoted(self, claim: Claim) -> bool:
        """What a job does before it moves the pointer: it must hold its claim."""
        try:
            self.store.renew(claim.token, LEASE)
        except ClaimLost:
            return False
        self.held -= {record.feedback_id for record in claim.subtract}
        self.held |= {record.feedback_id for record in claim.records}
        return True

    def report(self, claim: Claim) -> None:
        for _ in range(2):  # the answer to the first may have been lost
            self.store.mark_applied(
                claim.token,
                [record.feedback_id for record in claim.records],
                "v1",
                [record.feedback_id for record in claim.subtract],
            )

    def heard(self, seed: int) -> list[tuple[str, int, str, str]]:
        return [s for s in self.said if s[1] == seed and s[0] not in self.silent]

    def expected(self) -> dict[int, str]:
        """Label of each input by the words of the rule, not by its code."""
        found = dict[int, str]()
        for seed in {said[1] for said in self.said}:
            heard = self.heard(seed)
            voice = {author: label for _, _, author, label in heard}
            votes = Counter(voice.values())
            leading = {label for label in votes if votes[label] == max(votes.values())}
            # Of the voices, those that stand, the last one for a leading label.
            last = {author: n for n, (_, _, author, _) in enumerate(heard)}
            standing = sorted((last[author], label) for author, label in voice.items())
            for _, label in standing:
                if label in leading:
                    found[seed] = label
        return found

    @invariant()
    def nobody_loses_a_history(self) -> None:
        for feedback_id, *_ in self.said[-4:]:
            lines = self.store.events(feedback_id)
            assert len(lines) >= self.told.get(feedback_id, 1)
            assert lines[0].status is FeedbackStatus.QUEUED
            self.told[feedback_id] = len(lines)
            status = self.store.get(feedback_id).status
            claimed = status in (FeedbackStatus.CLAIMED, FeedbackStatus.QUEUED)
            assert claimed or lines[-1].status is status

    @invariant()
    def the_disputes_are_what_people_disagree_about(self) -> None:
        spoken = list[tuple[int, str, list[str]]]()  # last voice, label, ids of the voices
        order = {said[0]: n for n, said in enumerate(self.said)}
        for seed, label in self.expected().items():
            newest = {author: (name, said) for name, _, author, said in self.heard(seed)}
            if len({said for _, said in newest.values()}) > 1:
                ids = sorted((name for name, _ in newest.values()), key=order.__getitem__)
                spoken.append((order[ids[-1]], label, ids[::-1]))
        before, found = None, list[tuple[str, list[str]]]()
        while True:
            page = self.store.disputes(limit=1, before=before)
            found += [(d.label, [v.feedback_id for v in d.voices]) for d in page.disputes]
            before = page.next_before
            if before is None:
                break
        assert found == [(label, ids) for _, label, ids in sorted(spoken, reverse=True)]

    @invariant()
    def the_listing_has_everything_once(self) -> None:
        before, seen = None, list[str]()
        while True:
            page = self.store.listing(FeedbackFilter(), limit=2, before=before)
            seen += [record.feedback_id for record in page.records]
            before = page.next_before
            if before is None:
                break
        assert seen == [said[0] for said in reversed(self.said)]


LifeAndBundle.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_lives_end_as_they_should = LifeAndBundle.TestCase


def test_a_withdrawal_brings_back_what_was_superseded(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        (first,) = store.add([correction(0, "7")], author="ann")
        apply_all(store, "v1")
        (second,) = store.add([correction(0, "1")], author="ann")
        assert store.get(first.feedback_id).status is FeedbackStatus.APPLIED
        claim = apply_all(store, "v2")
        assert [r.feedback_id for r in claim.subtract] == [first.feedback_id]
        assert claim.replaced_by(second.feedback_id) == (first.feedback_id,)
        old = store.get(first.feedback_id)
        assert (old.status, old.superseded_by) == (FeedbackStatus.SUPERSEDED, second.feedback_id)
        gone = store.withdraw(second.feedback_id, "ann", "wrong after all")
        assert (gone.status, gone.reason) == (FeedbackStatus.WITHDRAWING, "wrong after all")
        claim = apply_all(store, "v3")
        assert [r.feedback_id for r in claim.records] == [first.feedback_id]
        assert [r.feedback_id for r in claim.subtract] == [second.feedback_id]
        assert store.get(second.feedback_id).status is FeedbackStatus.WITHDRAWN
        told = [(e.actor, e.status.value, e.detail) for e in store.events(first.feedback_id)]
        assert told == [
            ("ann", "queued", "7"),
            ("w", "applied", "v1"),
            ("w", "superseded", "not in v2"),
            ("ann", "queued", None),
            ("w", "applied", "v3"),
        ]


def test_what_the_gate_wants_kept_is_kept_and_may_be_withdrawn_again(store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        (item,) = store.add([correction(0)])
        apply_all(store, "v1")
        store.withdraw(item.feedback_id, "ann")
        claim = store.claim(worker="w", limit=1, lease=LEASE)
        assert claim is not None
        assert claim.records == ()
        store.keep(claim.token, [item.feedback_id], "gate: no")
        kept = store.get(item.feedback_id)
        assert (kept.status, kept.reason) == (FeedbackStatus.APPLIED, "gate: no")
        assert store.claim(worker="w", limit=1, lease=LEASE) is None
        assert store.withdraw(item.feedback_id, "ann").status is FeedbackStatus.WITHDRAWING
        with pytest.raises(ClaimLost):
            store.keep("another", [item.feedback_id], "no")
