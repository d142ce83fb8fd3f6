"""The retrain job over a real store and real bundles."""

from pathlib import Path

import numpy as np
import pytest

from rcmvae.bundle import (
    list_versions,
    load_current,
    read_pointer,
)
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackStatus, FeedbackStore, NewFeedback
from rcmvae.predictor import Predictor
from tests.training.retrain_run import (
    die_after_promotion,
    run,
    statuses,
)
from tests.training.tiny import (
    LENIENT,
    NEW_LABEL,
    STRICT,
    corrections,
    everything_wrong,
    post,
    unseen,
    wrong,
)
from training.retrain import retrain


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


def test_a_backlog_beyond_one_claim_is_applied_in_one_job(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.retrain.CLAIM_LIMIT", 2)
    ids = post(store, corrections(4, 5))
    result = run(models, store)
    assert (list(result.applied), len(result.gates)) == (ids, 3)
    assert len(list_versions(models)) == 1 + 3
