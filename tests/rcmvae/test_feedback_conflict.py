"""Which correction of an input prevails."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.feedback import FeedbackStatus
from rcmvae.feedback.conflict import Statement, prevailing, settled
from rcmvae.feedback.status import COUNTING

APPLIED, CLAIMED, QUEUED = FeedbackStatus.APPLIED, FeedbackStatus.CLAIMED, FeedbackStatus.QUEUED
REPLACED, SUPERSEDED = FeedbackStatus.REPLACED, FeedbackStatus.SUPERSEDED


def said(*words: str, status: FeedbackStatus = QUEUED) -> list[Statement]:
    """Statements like ``ann:7``, in their order."""
    pairs = (word.split(":") for word in words)
    return [Statement(n, f"f{n}", who, what, status) for n, (who, what) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["ann:7"], 0),
        (["ann:7", "ann:1"], 1),  # who says it again means it
        (["ann:7", "bob:1"], 1),  # one against one: the newer
        (["ann:7", "bob:7", "cy:1"], 1),  # two against one
        (["ann:7", "bob:7", "cy:1", "cy:1", "cy:1"], 1),  # however often the one says it
        (["ann:7", "bob:7", "cy:1", "bob:1"], 3),  # unless one of the two gives in
        (["ann:7", "bob:1", "ann:1", "bob:7"], 3),  # both changed their minds
        (["ann:7", "bob:1", "ann:7"], 2),  # to insist is to say it last
    ],
)
def test_the_rule(words: list[str], first: int) -> None:
    assert prevailing(said(*words)).seq == first


def test_what_a_bundle_holds_stays_where_it_agrees() -> None:
    old, new = said("ann:7", "bob:7")
    assert prevailing([replace(old, status=APPLIED), new]).seq == 0
    assert prevailing([replace(old, status=REPLACED), new]).seq == 0
    assert prevailing([replace(old, status=CLAIMED), new]).seq == 0
    assert prevailing([replace(old, status=SUPERSEDED), new]).seq == 1


def test_what_a_bundle_holds_stays_until_the_other_is_in_one() -> None:
    old, new = said("ann:7", "ann:1")
    assert settled([replace(old, status=APPLIED), new]) == ()
    (change,) = settled([replace(old, status=APPLIED), replace(new, status=APPLIED)])
    assert (change.statement.seq, change.status, change.superseded_by) == (0, REPLACED, "f1")


STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from("17"),
        # Superseded is what a job reported to be in no bundle.
        st.sampled_from(sorted(COUNTING)).flatmap(
            lambda s: st.tuples(
                st.just(s), st.booleans() if s is not SUPERSEDED else st.just(False)
            )
        ),
    ),
    min_size=1,
    max_size=8,
).map(
    lambda rows: [
        Statement(n, f"f{n}", a, y, status, unreported=mark)
        for n, (a, y, (status, mark)) in enumerate(rows)
    ]
)


@given(STATEMENTS)
def test_settling_twice_is_settling_once(statements: list[Statement]) -> None:
    changes = {change.statement.feedback_id: change for change in settled(statements)}
    after = [
        replace(
            s,
            status=changes[s.feedback_id].status,
            superseded_by=changes[s.feedback_id].superseded_by,
        )
        if s.feedback_id in changes
        else s
        for s in statements
    ]
    first = prevailing(after)
    assert first.feedback_id == prevailing(statements).feedback_id
    assert settled(after) == ()
    waiting = [s for s in after if s.status is QUEUED]
    assert waiting in ([], [first])
    assert first.status not in (SUPERSEDED, REPLACED)


@given(STATEMENTS)
def test_no_label_that_prevails_has_fewer_voices(statements: list[Statement]) -> None:
    voices: dict[str, str] = {}
    for statement in statements:
        voices[statement.author] = statement.label
    said_by = [list(voices.values()).count(label) for label in "17"]
    winner = prevailing(statements).label
    assert said_by["17".index(winner)] == max(said_by)
