"""The retrain job over a real store and real bundles."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    list_versions,
    load_current,
    move_pointer,
    publish_bundle,
    read_pointer,
    stage_bundle,
)
from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict, ClaimLost
from rcmvae.feedback import FeedbackStatus, FeedbackStore, NewFeedback
from rcmvae.predictor import Predictor
from tests.training.tiny import (
    LENIENT,
    NEW_LABEL,
    corrections,
    everything_wrong,
    post,
    unseen,
    wrong,
)
from training.gate import GateConfig
from training.promotion import ATTEMPTS
from training.relabel import Correction, relabel
from training.reporter import Alone
from training.retrain import retrain
from training.retrain_job import RetrainResult


def run(models: Path, store: FeedbackStore) -> RetrainResult:
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    return result


def statuses(store: FeedbackStore, ids: Sequence[str]) -> list[FeedbackStatus]:
    return [store.get(feedback_id).status for feedback_id in ids]


def test_nothing_waits(models: Path, store: FeedbackStore) -> None:
    assert retrain(models, store, "relabel", LENIENT) is None
    assert len(list_versions(models)) == 1


def test_feedback_becomes_a_new_current_bundle(models: Path, store: FeedbackStore) -> None:
    parent = load_current(models)
    ids = post(store, corrections(9, 10))
    result = run(models, store)
    current = load_current(models)
    assert current.version == result.version != parent.version
    assert result.parent == parent.version
    assert list(result.applied) == ids
    assert list(current.manifest.lineage.feedback_ids) == ids
    assert result.rejected == ()
    assert len(result.gates) == 1
    assert result.seconds > 0
    for feedback_id in ids:
        record = store.get(feedback_id)
        assert (record.status, record.applied_version) == (FeedbackStatus.APPLIED, current.version)
    predicted = Predictor.open(current).predict(unseen(9, 40)[10:]).predicted
    assert predicted.count(NEW_LABEL) >= 10
    assert retrain(models, store, "relabel", LENIENT) is None


def test_a_second_round_builds_on_the_first(models: Path, store: FeedbackStore) -> None:
    first = post(store, corrections(9, 4))
    run(models, store)
    second = post(store, corrections(5, 2))
    result = run(models, store)
    current = load_current(models)
    assert list(current.manifest.lineage.feedback_ids) == second
    assert list(read_label_map(current).ids[-6:]) == [*first, *second]
    assert len(list_versions(models)) == 3
    assert result.parent != result.version


def killed(*_: object) -> None:
    """Stand in for a process that is gone: nothing after it runs."""
    raise SystemExit(137)


def die_after_promotion(patch: pytest.MonkeyPatch) -> None:
    """The process is killed before it can say what it did; its lease is over at once."""
    patch.setattr(FeedbackStore, "mark_applied", killed)
    patch.setattr(FeedbackStore, "release", lambda *_: None)
    patch.setattr("training.reporter.LEASE", timedelta(microseconds=1))


def test_killed_between_promotion_and_mark_nothing_is_applied_twice(
    models: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeedbackStore.open(store_url) as store:
        ids = post(store, corrections(9, 5))
        with monkeypatch.context() as patch:
            die_after_promotion(patch)
            with pytest.raises(SystemExit):
                retrain(models, store, "relabel", LENIENT)
        assert statuses(store, ids) == [FeedbackStatus.CLAIMED] * 5
    promoted = load_current(models)
    evidence = read_label_map(promoted).evidence
    with FeedbackStore.open(store_url) as store:
        result = run(models, store)
        assert (result.version, result.parent, result.gates) == (promoted.version, None, ())
        assert list(result.applied) == ids
        assert {store.get(i).applied_version for i in ids} == {promoted.version}
    assert read_pointer(models) == promoted.version
    np.testing.assert_array_equal(read_label_map(load_current(models)).evidence, evidence)


def test_killed_before_promotion_the_feedback_comes_back(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_pointer(models)
    ids = post(store, corrections(9, 5))
    with monkeypatch.context() as patch:
        patch.setattr("training.promotion.move_pointer", killed)
        patch.setattr(FeedbackStore, "release", lambda *_: None)
        patch.setattr("training.reporter.LEASE", timedelta(seconds=1e-3))
        with pytest.raises(SystemExit):
            retrain(models, store, "relabel", LENIENT)
    assert read_pointer(models) == before
    assert list(run(models, store).applied) == ids


def misfits() -> list[NewFeedback]:
    x = unseen(3, 1)[0]
    return [
        NewFeedback("3", np.zeros((1, 9, 9), dtype=np.float32)),
        NewFeedback("3", np.zeros((64,), dtype=np.float32)),
        NewFeedback("3", x + np.float32(0.5)),
        NewFeedback("3", x - np.float32(0.5)),
    ]


def test_inputs_that_do_not_fit_are_rejected_with_a_reason_and_the_rest_applied(
    models: Path, store: FeedbackStore
) -> None:
    odd = [record.feedback_id for record in store.add(misfits())]
    good = post(store, corrections(3, 2))
    result = run(models, store)
    assert list(result.applied) == good
    assert [feedback_id for feedback_id, _ in result.rejected] == odd
    for (feedback_id, reason), expected in zip(
        result.rejected,
        ("shape (1, 8, 8), got (1, 9, 9)", "got (64,)", "values in [0, 1], got", "values in"),
        strict=True,
    ):
        record = store.get(feedback_id)
        assert (record.status, record.reason) == (FeedbackStatus.REJECTED, reason)
        assert expected in reason


def test_misfits_alone_make_no_bundle(models: Path, store: FeedbackStore) -> None:
    store.add(misfits())
    before = read_pointer(models)
    result = run(models, store)
    assert (result.version, result.applied, len(result.rejected)) == (before, (), 4)
    assert len(list_versions(models)) == 1


STRICT = GateConfig(accuracy_drop=0.0, total_drop=0.0, class_drop=0.0, class_total_drop=0.0)


def test_what_the_gate_refuses_is_rejected_with_the_reason(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 3)
    before = load_current(models).manifest.metrics["golden_accuracy"]
    ids = post(store, everything_wrong())
    result = retrain(models, store, "relabel", STRICT)
    assert result is not None
    rejected = dict(result.rejected)
    assert len(rejected) > len(ids) / 2
    assert sorted([*rejected, *result.applied]) == sorted(ids)
    for feedback_id, reason in rejected.items():
        record = store.get(feedback_id)
        assert (record.status, record.reason) == (FeedbackStatus.REJECTED, reason)
        assert reason.startswith("gate: ")
    assert load_current(models).manifest.metrics["golden_accuracy"] >= before
    assert retrain(models, store, "relabel", STRICT) is None


def test_nobodys_labels_are_lost_for_anothers(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 2)
    right = post(store, corrections(3, 5))
    wrongs = post(store, wrong(0, "1"))
    result = retrain(models, store, "relabel", STRICT)
    assert result is not None
    assert set(right) <= set(result.applied)
    assert set(statuses(store, right)) == {FeedbackStatus.APPLIED}
    assert FeedbackStatus.REJECTED in statuses(store, wrongs)


def test_of_several_corrections_of_one_input_the_last_one_holds(
    models: Path, store: FeedbackStore
) -> None:
    first, second, third = post(
        store, [*corrections(4, 1), *corrections(4, 1, "5"), *corrections(4, 1)]
    )
    result = run(models, store)
    assert (result.applied, result.rejected) == ((third,), ())
    for superseded in (first, second):
        assert store.get(superseded).superseded_by == third
    assert read_label_map(load_current(models)).ids[-1] == third


def test_one_batch_of_every_kind(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that does not fit, one that a bundle holds already, and some refused."""
    (done,) = post(store, corrections(3, 1))
    with monkeypatch.context() as patch:
        die_after_promotion(patch)
        with pytest.raises(SystemExit):
            retrain(models, store, "relabel", LENIENT)
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 0)
    (odd,) = (record.feedback_id for record in store.add(misfits()[:1]))
    refused = post(store, everything_wrong())
    before = read_pointer(models)
    result = retrain(models, store, "relabel", STRICT)
    assert result is not None
    assert read_pointer(models) == before == result.version
    assert store.get(done).status is FeedbackStatus.APPLIED
    assert (store.get(odd).reason or "").startswith("input: expected shape")
    assert set(statuses(store, refused)) == {FeedbackStatus.REJECTED}


def claim_everything(models: Path) -> None:
    """Publish a map in which no channel is free."""
    parent = load_current(models)
    draft = relabel(parent, corrections(3, 1))
    calibration = parse_calibration(draft.contents[CALIBRATION])
    none_free = calibration.model_copy(update={"free_mass": 1e-12})
    contents = {**draft.contents, CALIBRATION: none_free.model_dump_json().encode()}
    publish_bundle(models, replace(draft, contents=contents), expected_parent=parent.version)


def test_without_a_free_channel_the_feedback_waits_for_a_refit(
    models: Path, store: FeedbackStore
) -> None:
    claim_everything(models)
    before = read_pointer(models)
    ids = post(store, corrections(9, 3))
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    assert (result.applied, result.queued, result.parent) == ((), tuple(ids), None)
    assert statuses(store, ids) == [FeedbackStatus.QUEUED] * 3
    assert read_pointer(models) == before


def test_a_label_without_a_channel_does_not_hold_up_the_others(
    models: Path, store: FeedbackStore
) -> None:
    claim_everything(models)
    new, known = post(store, corrections(9, 3)), post(store, corrections(4, 2))
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    assert (result.applied, result.queued) == (tuple(known), tuple(new))
    assert statuses(store, known) == [FeedbackStatus.APPLIED] * 2
    assert statuses(store, new) == [FeedbackStatus.QUEUED] * 3
    assert read_pointer(models) == result.version


def test_a_refused_batch_leaves_the_label_without_a_channel_queued(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 0)
    claim_everything(models)
    new, bad = post(store, corrections(9, 1)), post(store, everything_wrong())
    retrain(models, store, "relabel", STRICT)
    assert statuses(store, new) == [FeedbackStatus.QUEUED]
    assert set(statuses(store, bad)) == {FeedbackStatus.REJECTED}


def test_labels_without_a_channel_do_not_fill_every_claim(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.retrain.CLAIM_LIMIT", 3)
    claim_everything(models)
    new = post(store, corrections(9, 6))
    known = post(store, corrections(4, 2))
    result = run(models, store)
    assert (result.applied, set(statuses(store, new))) == (tuple(known), {FeedbackStatus.QUEUED})


def test_a_backlog_beyond_one_claim_is_applied_in_one_job(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.retrain.CLAIM_LIMIT", 2)
    ids = post(store, corrections(4, 5))
    result = run(models, store)
    assert (list(result.applied), len(result.gates)) == (ids, 3)
    assert len(list_versions(models)) == 1 + 3


Move = Callable[[Path, str | None, str], None]


class Busy(Alone):
    """The job of a store into which somebody posts a label whenever something was claimed."""

    def __init__(self, store: FeedbackStore) -> None:
        super().__init__(store)
        self.store = store
        self.later: list[str] = []

    def claimed(self, token: str | None) -> None:
        super().claimed(token)
        if token is not None:
            assert not self.later, "what came later was claimed"
            self.later += post(self.store, corrections(5, 1))


def test_labels_that_come_meanwhile_are_for_the_next_job(
    models: Path, store: FeedbackStore
) -> None:
    """Where labels come all the time, a job would never end, and nothing else would be done."""
    ids = post(store, corrections(9, 4))
    busy = Busy(store)
    result = retrain(models, store, "relabel", LENIENT, busy)
    assert result is not None
    assert list(result.applied) == ids
    assert statuses(store, busy.later) == [FeedbackStatus.QUEUED]
    assert list(run(models, store).applied) == busy.later


def rival(times: int) -> Move:
    """Another publisher that gets in first, so many times."""
    left = [times]

    def move(models: Path, expected: str | None, target: str) -> None:
        if left[0]:
            left[0] -= 1
            parent = load_current(models)
            other = [Correction(f"rival-{left[0]}", "5", unseen(5, 9)[left[0]])]
            bundle = stage_bundle(models, relabel(parent, other))
            move_pointer(models, parent.version, bundle.version)
        move_pointer(models, expected, target)

    return move


def test_a_lost_race_is_run_again_on_the_new_parent(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.move_pointer", rival(ATTEMPTS - 1))
    ids = post(store, corrections(9, 4))
    result = run(models, store)
    current = load_current(models)
    assert current.version == result.version
    assert current.manifest.lineage.parent_version == result.parent
    assert set(read_label_map(current).ids) >= {"rival-0", "rival-1", *ids}
    assert statuses(store, ids) == [FeedbackStatus.APPLIED] * 4


def test_races_lost_too_often_queue_the_feedback_again(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.move_pointer", rival(ATTEMPTS))
    ids = post(store, corrections(9, 4))
    with pytest.raises(BundleConflict):
        retrain(models, store, "relabel", LENIENT)
    assert statuses(store, ids) == [FeedbackStatus.QUEUED] * 4
    assert not set(read_label_map(load_current(models)).ids) & set(ids)


def test_a_claim_that_another_took_over_is_said_and_left_to_it(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is over before the bundle is made, and another worker claims the same."""
    before = read_pointer(models)
    ids = post(store, corrections(9, 4))

    def slow(
        parent: Bundle, items: Sequence[Correction], gone: Sequence[str], *more: Any
    ) -> BundleDraft:
        taken = store.claim(worker="another", limit=99, lease=timedelta(minutes=1))
        assert taken is not None
        return relabel(parent, items, gone, *more)

    monkeypatch.setattr("training.reporter.LEASE", timedelta(microseconds=1))
    monkeypatch.setattr("training.promotion.relabel", slow)
    with pytest.raises(ClaimLost, match="nothing is claimed under this token"):
        retrain(models, store, "relabel", LENIENT)
    assert statuses(store, ids) == [FeedbackStatus.CLAIMED] * 4
    assert read_pointer(models) == before


def test_withdrawn_labels_leave_the_map_as_it_was(models: Path, store: FeedbackStore) -> None:
    before = read_label_map(load_current(models))
    ids = post(store, [*corrections(9, 6), *corrections(3, 2)])
    run(models, store)
    assert NEW_LABEL in load_current(models).manifest.labels
    for feedback_id in ids:
        store.withdraw(feedback_id, "ann")
    assert statuses(store, ids) == [FeedbackStatus.WITHDRAWING] * 8
    result = run(models, store)
    assert (result.applied, sorted(result.withdrawn)) == ((), sorted(ids))
    current = load_current(models)
    after = read_label_map(current)
    assert (after.labels, after.ids) == (before.labels, before.ids)
    np.testing.assert_allclose(after.tau, before.tau, rtol=0, atol=1e-12)
    assert sorted(current.manifest.lineage.withdrawn_ids) == sorted(ids)
    assert statuses(store, ids) == [FeedbackStatus.WITHDRAWN] * 8
    assert retrain(models, store, "relabel", LENIENT) is None


def test_a_newer_label_of_an_input_replaces_the_one_in_the_map(
    models: Path, store: FeedbackStore
) -> None:
    (item,) = corrections(3, 1)
    (old,) = post(store, [item])
    run(models, store)
    (new,) = post(store, [replace(item, label="5")])
    result = run(models, store)
    assert (result.applied, result.withdrawn) == ((new,), (old,))
    assert read_label_map(load_current(models)).ids[-1] == new
    assert old not in read_label_map(load_current(models)).ids
    assert statuses(store, [old, new]) == [FeedbackStatus.SUPERSEDED, FeedbackStatus.APPLIED]


def test_a_job_killed_after_it_subtracted_is_made_good(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = corrections(3, 1)
    ids = post(store, [item, *corrections(5, 1)])
    run(models, store)
    store.withdraw(ids[1], "ann")
    ids += post(store, [replace(item, label="5")])
    with monkeypatch.context() as patch:
        die_after_promotion(patch)
        with pytest.raises(SystemExit):
            retrain(models, store, "relabel", LENIENT)
    run(models, store)
    held = set(read_label_map(load_current(models)).ids)
    assert held.intersection(ids) == {ids[2]}
    assert statuses(store, ids) == [
        FeedbackStatus.SUPERSEDED,
        FeedbackStatus.WITHDRAWN,
        FeedbackStatus.APPLIED,
    ]


def test_a_withdrawal_that_the_gate_refuses_is_held(models: Path, store: FeedbackStore) -> None:
    ids = post(store, corrections(9, 8))
    run(models, store)
    version = read_pointer(models)
    for feedback_id in ids:
        store.withdraw(feedback_id, "ann")
    impossible = GateConfig(accuracy_drop=-1.0, total_drop=-1.0, class_drop=-1.0)
    result = retrain(models, store, "relabel", impossible)
    assert result is not None
    assert (result.withdrawn, read_pointer(models)) == ((), version)
    assert statuses(store, ids) == [FeedbackStatus.APPLIED] * 8
    assert str(store.get(ids[0]).reason).startswith("not taken back: gate: ")
    assert retrain(models, store, "relabel", impossible) is None
