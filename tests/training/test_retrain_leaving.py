"""The retrain job takes labels back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rcmvae.bundle import (
    load_current,
    read_pointer,
)
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.training.retrain_run import (
    die_after_promotion,
    run,
    statuses,
)
from tests.training.tiny import (
    LENIENT,
    NEW_LABEL,
    corrections,
    post,
)
from training.gate import GateConfig
from training.retrain import retrain


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
