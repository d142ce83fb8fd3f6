"""Submissions that share a commit leave what they leave one after another."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from rcmvae.errors import FeedbackError, IdempotencyConflict
from rcmvae.feedback import FeedbackFilter, FeedbackStore, NewFeedback, Submission
from rcmvae.feedback.submissions import Outcome
from tests.rcmvae.feedback_fixtures import StillClock, pixels, url_of

Shown = tuple[object, ...]

ITEMS = st.lists(
    st.builds(
        lambda seed, label: NewFeedback(label, pixels(seed)),
        st.integers(0, 2),
        st.sampled_from("ab"),
    ),
    max_size=3,
)


@st.composite
def _submission(draw: st.DrawFn) -> Submission:
    items, author = draw(ITEMS), draw(st.sampled_from(["ann", "bob"]))
    key = draw(st.sampled_from([None, "k1", "k2"]))
    body = None if key is None else draw(st.sampled_from(["1", "2"]))
    return Submission(items, author, None, key, body)


def _one_by_one(store: FeedbackStore, group: Sequence[Submission]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for each in group:
        try:
            outcomes.append(
                store.add(
                    each.items,
                    author=each.author,
                    idempotency_key=each.idempotency_key,
                    body_sha256=each.body_sha256,
                )
            )
        except IdempotencyConflict as error:
            outcomes.append(error)
    return outcomes


def _shown(store: FeedbackStore, outcomes: Sequence[Outcome]) -> tuple[list[Shown], list[Shown]]:
    """Rows in their order, and outcomes; ids, which are drawn, as places among the rows."""
    records = store.listing(FeedbackFilter(), limit=100).records[::-1]
    place = {record.feedback_id: i for i, record in enumerate(records)}
    rows: list[Shown] = [
        (r.label, r.author, r.input_sha256, r.status, place.get(r.superseded_by or ""))
        for r in records
    ]
    answers: list[Shown] = [
        (type(outcome),)
        if isinstance(outcome, FeedbackError)
        else tuple((place[r.feedback_id], r.label, r.status) for r in outcome)
        for outcome in outcomes
    ]
    return rows, answers


@settings(max_examples=12, deadline=None)
@given(st.lists(_submission(), max_size=3), st.lists(_submission(), min_size=1, max_size=5))
def test_together_is_as_one_by_one(before: list[Submission], group: list[Submission]) -> None:
    with TemporaryDirectory() as folder:
        seen = []
        for way in (_one_by_one, FeedbackStore.add_together):
            url = url_of(Path(folder) / f"{way.__name__}.db")
            with FeedbackStore.open(url, clock=StillClock()) as store:
                _one_by_one(store, before)
                seen.append(_shown(store, way(store, group)))
        assert seen[0] == seen[1]


def test_a_group_is_one_submission_for_a_key_on_both_databases(store_url: str) -> None:
    """Keys of several authors, and one twice in the group and once before it."""
    with FeedbackStore.open(store_url) as store:
        (first,) = store.add_together(
            [Submission([NewFeedback("a", pixels(1))], "ann", None, "k", "1")]
        )
        group = [
            Submission([NewFeedback("a", pixels(n))], author, None, key, body)
            for n, author, key, body in (
                (1, "ann", "k", "1"),
                (2, "bob", "k", "1"),
                (2, "bob", "k", "1"),
                (3, "ann", "k", "2"),
                (4, "ann", None, None),
            )
        ]
        repeated, new, again, conflict, keyless = store.add_together(group)
        assert repeated == first
        assert again == new
        assert isinstance(conflict, IdempotencyConflict)
        assert not isinstance(keyless, FeedbackError)
        assert store.counts_by_status().queued == 3
