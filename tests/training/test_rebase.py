"""A refit and what is promoted while it trains. Training is stood in for; its bundle is real."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    list_versions,
    load_bundle,
    load_current,
    publish_bundle,
    read_pointer,
)
from rcmvae.bundle.manifest import ENCODER
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.jobs import roll_back
from tests.training.retrain_run import claim_everything, rival, run, statuses
from tests.training.tiny import LENIENT, NEW_LABEL, corrections, everything_wrong, post, wrong
from training.gate import GateConfig
from training.promotion import ATTEMPTS
from training.relabel import Correction, relabel
from training.retrain import retrain
from training.retrain_job import RetrainResult
from training.share_cap import ShareCap

Fit = Callable[..., BundleDraft]


def training(models: Path, fits: list[list[str]], meanwhile: Callable[[], object]) -> Fit:
    """Stands in for a refit of the tiny bundle, in which channels are free; what it was given."""
    first = list_versions(models)[0]

    def fit(parent: Bundle, items: Sequence[Correction], **_: Any) -> BundleDraft:
        fits.append([item.feedback_id for item in items])
        meanwhile()
        draft = relabel(load_bundle(models / first), items)
        metrics = {**draft.metrics, "fitted_here": 1.0}
        return replace(draft, metrics=metrics)

    return fit


def refit(
    models: Path,
    store: FeedbackStore,
    patch: pytest.MonkeyPatch,
    meanwhile: Callable[[], object] = lambda: None,
    gate: GateConfig = LENIENT,
    cap: ShareCap | None = None,
) -> tuple[RetrainResult, list[list[str]]]:
    """A refit job; its result, and the ids that it was trained on."""
    fits: list[list[str]] = []
    patch.setattr("training.refit.refit", training(models, fits, meanwhile))
    result = retrain(models, store, "refit", gate, cap=cap)
    assert result is not None
    return result, fits


def feedback_in(models: Path) -> list[str]:
    return [name for name in read_label_map(load_current(models)).ids if "train-" not in name]


def test_a_refit_begins_with_a_relabel_and_brings_what_found_no_channel(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_everything(models)
    (held,) = feedback_in(models)
    known, new = post(store, corrections(4, 2)), post(store, corrections(9, 3))
    seen: list[list[FeedbackStatus]] = []
    result, fits = refit(models, store, monkeypatch, lambda: seen.append(statuses(store, known)))
    assert seen == [[FeedbackStatus.APPLIED] * 2], "before the training, not after it"
    assert fits == [[*known, *new]]
    assert (result.applied, result.queued) == ((*known, *new), ())
    assert set(statuses(store, new)) == {FeedbackStatus.APPLIED}
    current = load_current(models)
    lineage = current.manifest.lineage
    assert (lineage.method, list(lineage.feedback_ids)) == ("refit", new)
    # What the store has never heard of is of another store: a refit cannot train on it.
    assert list(lineage.withdrawn_ids) == [held]
    assert sorted(feedback_in(models)) == sorted([*known, *new])
    assert current.manifest.metrics["fitted_here"] == 1.0
    assert retrain(models, store, "relabel", LENIENT) is None


def test_what_was_promoted_during_the_training_is_in_the_refit_and_counts_once(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = post(store, [*corrections(5, 2), *corrections(6, 2)])
    run(models, store)
    late: list[str] = []

    def meanwhile() -> None:
        store.withdraw(early[0], "ann")
        late.extend(post(store, [*corrections(9, 4), *corrections(5, 1, "6")]))
        run(models, store)

    result, fits = refit(models, store, monkeypatch, meanwhile)
    assert fits == [early]
    current = load_current(models)
    lineage = current.manifest.lineage
    assert lineage.parent_version == list_versions(models)[-2] != list_versions(models)[0]
    assert (lineage.feedback_ids, lineage.withdrawn_ids) == ((), ())
    assert result.version == current.version
    standing = [*early[1:], *late]
    assert sorted(feedback_in(models)) == sorted(standing)
    assert statuses(store, standing) == [FeedbackStatus.APPLIED] * len(standing)
    # The same map as by relabels alone, as what stood in for the training changed no weight.
    parent = read_label_map(load_bundle(models / str(lineage.parent_version)))
    own = read_label_map(current)
    assert own.labels == parent.labels
    np.testing.assert_allclose(own.tau, parent.tau, atol=1e-12)
    assert retrain(models, store, "relabel", LENIENT) is None


def test_a_race_lost_by_a_refit_costs_no_training(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.move_pointer", rival(ATTEMPTS - 1))
    post(store, corrections(5, 2))
    run_into = GateConfig(**dict.fromkeys(("accuracy_drop", "total_drop", "class_drop"), 1.0))
    _, fits = refit(models, store, monkeypatch, gate=run_into)
    assert len(fits) == 1


def test_a_refit_on_weights_that_are_no_longer_served_is_given_up(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_everything(models)
    new = post(store, corrections(9, 3))

    def others() -> None:
        parent = load_current(models)
        draft = relabel(parent, corrections(3, 2))
        graph = onnx.load_from_string(draft.contents[ENCODER])
        graph.doc_string = "another fit"
        contents = {**draft.contents, ENCODER: graph.SerializeToString()}
        publish_bundle(models, replace(draft, contents=contents), expected_parent=parent.version)

    with pytest.raises(BundleConflict, match="it has to be trained anew"):
        refit(models, store, monkeypatch, others)
    assert statuses(store, new) == [FeedbackStatus.QUEUED] * 3


def test_what_was_rolled_back_during_the_training_stays_out(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(store, corrections(5, 2))
    run(models, store)
    bad = post(store, wrong(0, "1", 3))
    run(models, store)
    _, fits = refit(models, store, monkeypatch, lambda: roll_back(models, store, None, "ann"))
    assert fits == [[*first, *bad]]
    assert feedback_in(models) == first
    assert statuses(store, bad) == [FeedbackStatus.QUARANTINED] * 3


def test_the_cap_holds_for_the_map_of_a_refit(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(store, corrections(5, 8))
    cap = ShareCap(free=1.0)
    refit(models, store, monkeypatch, cap=cap)
    label_map = read_label_map(load_current(models))
    own = np.array(["train-" not in name for name in label_map.ids])
    is_five = label_map.contribution_labels == label_map.index("5")
    weight = label_map.contributions.sum(axis=1)
    assert weight[own].sum() <= weight[is_five & ~own].sum() + 1e-9


def test_a_refit_that_the_gate_stops_is_not_repeated_and_queues_what_it_brought(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_everything(models)
    new = post(store, corrections(9, 3))
    before = read_pointer(models)
    impossible = GateConfig(accuracy_drop=-1.0, total_drop=-1.0, class_drop=-1.0)
    result, fits = refit(models, store, monkeypatch, gate=impossible)
    assert (len(fits), result.version, result.queued) == (1, before, tuple(new))
    assert statuses(store, new) == [FeedbackStatus.QUEUED] * 3


def test_a_batch_withdrawn_during_the_training_leaves_the_map_as_it_was(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_label_map(load_current(models))
    batch = post(store, [*corrections(9, 6), *everything_wrong()[:3]])
    run(models, store)
    assert NEW_LABEL in load_current(models).manifest.labels

    def withdraw() -> None:
        for name in batch:
            store.withdraw(name, "ann")
        run(models, store)

    refit(models, store, monkeypatch, withdraw)
    after = read_label_map(load_current(models))
    assert (after.labels, after.ids) == (before.labels, before.ids)
    np.testing.assert_allclose(after.tau, before.tau, rtol=0, atol=1e-12)
    assert statuses(store, batch) == [FeedbackStatus.WITHDRAWN] * len(batch)
