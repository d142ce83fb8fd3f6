"""Labels that others contradict: what is set aside, what passes, and what a flood can do."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.bundle import load_current
from rcmvae.feedback import FeedbackFilter, FeedbackStatus, FeedbackStore, NewFeedback
from tests.training.tiny import LENIENT, NEW_LABEL, corrections, unseen, wrong
from training.gate import GateConfig
from training.guard import GuardConfig, contradiction
from training.relabel import Correction
from training.retrain import retrain
from training.retrain_job import RetrainResult
from training.share_cap import ShareCap

FLOOD = 10_000


def post(store: FeedbackStore, items: list[Correction], author: str) -> list[str]:
    said = [NewFeedback(item.label, item.input) for item in items]
    return [record.feedback_id for record in store.add(said, author=author)]


def run(models: Path, store: FeedbackStore) -> RetrainResult:
    result = retrain(models, store, "relabel", LENIENT, guard=GuardConfig(), cap=ShareCap())
    assert result is not None
    return result


def run_of(
    models: Path,
    store: FeedbackStore,
    items: list[Correction],
    author: str,
    config: GuardConfig | None = None,
) -> RetrainResult:
    """What becomes of a batch."""
    post(store, items, author)
    guard = config or GuardConfig()
    result = retrain(models, store, "relabel", LENIENT, guard=guard, cap=ShareCap())
    assert result is not None
    return result


def wrong_in_all(count: int) -> list[Correction]:
    """Digits with a little noise, so that no two are one input, each under a wrong name."""
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 9, count)
    seen = {digit: unseen(digit, 30) for digit in range(9)}
    offsets = rng.integers(1, 9, count)
    noise = rng.uniform(0.0, 0.02, (count, 1, 8, 8)).astype(np.float32)
    return [
        Correction(
            f"flood-{i}",
            str((digit + offset) % 9),
            np.clip(seen[digit][i % len(seen[digit])] + extra, 0.0, 1.0),
        )
        for i, (digit, offset, extra) in enumerate(
            zip(digits.tolist(), offsets.tolist(), noise, strict=True)
        )
    ]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5))
def test_only_evidence_of_others_contradicts(seed: int, channels: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.gamma(0.3, 5.0, (channels, labels))
    r = rng.dirichlet(np.ones(channels), 4)
    y = rng.integers(0, labels, 4)
    score = contradiction(r, counts, y)
    assert ((score >= 0.0) & (score < 1.0)).all()
    alone = np.zeros_like(counts)
    alone[:, y[0]] = counts[:, y[0]]
    assert contradiction(r[:1], alone, y[:1])[0] == pytest.approx(0.0, abs=1e-12)
    # A name that the map does not know has all evidence against it.
    unknown = contradiction(r, counts, np.full(4, labels))
    assert (unknown >= score - 1e-12).all()
    owned = r @ (counts.sum(axis=1) / (counts.sum(axis=1) + 1.0))
    np.testing.assert_allclose(unknown, owned)


def test_honest_labels_and_a_new_one_pass(models: Path, store: FeedbackStore) -> None:
    items = [c for digit in range(9) for c in corrections(digit, 4)] + corrections(9, 5)
    ids = post(store, items, "ann")
    result = run(models, store)
    assert len(result.quarantined) <= 1, "in so small a network a digit may lie among others"
    assert set(result.applied) | set(result.quarantined) == set(ids)
    assert NEW_LABEL in load_current(models).manifest.labels


def test_a_few_contradictions_pass_and_more_wait_for_a_person(
    models: Path, store: FeedbackStore
) -> None:
    first = post(store, wrong(0, "1", 3), "bob")
    assert run(models, store).applied == tuple(first)
    more = post(store, [*wrong(0, "1", 12)[6:], *corrections(4, 6)], "bob")
    result = run(models, store)
    assert 4 <= len(result.quarantined) <= 6, "his own labels are no evidence for him"
    held = store.get(result.quarantined[0])
    assert held.status is FeedbackStatus.QUARANTINED
    assert held.reason is not None
    assert "others label this region '0', not '1'" in held.reason
    assert "of 'bob' are contradicted" in held.reason
    assert set(result.applied) == set(more) - set(result.quarantined)
    store.accept(held.feedback_id, "a person")
    assert run(models, store).applied == (held.feedback_id,)


def test_many_small_batches_do_no_more_than_a_large_one(models: Path, store: FeedbackStore) -> None:
    """Also where he takes back what was set aside."""
    items = wrong_in_all(30)
    applied, late = 0, list[str]()
    for start in range(0, len(items), 5):
        result_of = run_of(models, store, items[start : start + 5], "mallory")
        applied += len(result_of.applied)
        late += result_of.quarantined if start >= 20 else ()
        for feedback_id in result_of.quarantined:
            store.withdraw(feedback_id, "mallory")
    assert len(late) == 10, "contradicted or not: nothing of his is taken on trust"
    assert applied <= 3 + 3, "the allowance, and what nobody can contradict before he is distrusted"
    honest = post(store, corrections(2, 5), "ann")
    assert set(honest) <= set(run(models, store).applied)


def test_who_is_right_at_last_is_trusted_again(models: Path, store: FeedbackStore) -> None:
    config = GuardConfig(distrust_from=4, allowance=0)
    first = [*wrong(0, "1", 3), *corrections(3, 1)]
    assert len(run_of(models, store, first, "bob", config).quarantined) == 4
    again = run_of(models, store, [*corrections(4, 3), *corrections(6, 3)], "bob", config)
    assert len(again.applied) == 6


def test_what_a_person_accepted_counts_for_nobody(models: Path, store: FeedbackStore) -> None:
    config = GuardConfig(distrust_from=4, allowance=0)
    aside = run_of(models, store, wrong(0, "1", 4), "bob", config).quarantined
    assert len(aside) == 4
    for feedback_id in aside:
        store.accept(feedback_id, "a person")
    assert len(run_of(models, store, corrections(4, 1), "bob", config).applied) == 5


def test_another_author_is_judged_by_himself(models: Path, store: FeedbackStore) -> None:
    post(store, wrong(0, "1", 12), "bob")
    honest = post(store, corrections(2, 5), "ann")
    result = run(models, store)
    assert set(honest) <= set(result.applied)


def test_a_flood_of_wrong_labels_from_one_key_does_little(
    models: Path, store: FeedbackStore
) -> None:
    before = load_current(models)
    post(store, wrong_in_all(FLOOD), "mallory")
    result = retrain(models, store, "relabel", GateConfig(), guard=GuardConfig(), cap=ShareCap())
    assert result is not None
    after = load_current(models)
    drop = before.manifest.metrics["golden_accuracy"] - after.manifest.metrics["golden_accuracy"]
    assert drop <= 0.005
    page = store.listing(
        FeedbackFilter(status=FeedbackStatus.QUARANTINED, author="mallory"), limit=10
    )
    assert len(result.quarantined) > 0.9 * FLOOD
    reasons = [record.reason or "" for record in page.records]
    assert all("labels of 'mallory' are contradicted by others" in reason for reason in reasons)
