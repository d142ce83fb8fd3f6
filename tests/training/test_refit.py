"""Refit: a warm start from a bundle, with the corrections among the labels."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from rcmvae.bundle import Bundle, load_bundle, load_current
from rcmvae.bundle.manifest import GOLDEN, LATENT_MAP, SCORES, WEIGHTS
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleDamaged
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.predictor import Predictor
from rcmvae.scores_graph import read_placement
from tests.training.tiny import (
    LENIENT,
    NEW_LABEL,
    TinyRun,
    corrections,
    post,
    tiny_config,
    tiny_dataset,
)
from training.config import from_json
from training.refit import WARM_SHARE, prepare, with_corrections
from training.retrain import retrain
from training.retrain_job import RetrainResult


def test_corrections_join_the_labelled_and_the_unlabelled_inputs() -> None:
    dataset, nines, fives = tiny_dataset(), corrections(9, 3), corrections(5, 2)
    joined = with_corrections(dataset, dataset.labels, [*nines, *fives])
    assert joined.labels == (*dataset.labels, NEW_LABEL)
    np.testing.assert_array_equal(joined.labelled.y[-5:], [9, 9, 9, 5, 5])
    x = np.stack([c.input for c in (*nines, *fives)])
    np.testing.assert_array_equal(joined.labelled.x[-5:], x)
    np.testing.assert_array_equal(joined.unlabelled[-5:], x)
    assert len(joined.labelled) == len(dataset.labelled) + 5
    for name in ("density", "calibration", "test", "split"):
        assert getattr(joined, name) is getattr(dataset, name)


def test_labels_keep_the_order_of_the_parent() -> None:
    dataset = tiny_dataset()
    joined = with_corrections(dataset, (*dataset.labels, "x", "y"), corrections(9, 1, "y"))
    assert joined.labels == (*dataset.labels, "x", "y")
    assert joined.labelled.y[-1] == 10


def test_without_corrections_the_data_stay(bundle: Bundle) -> None:
    dataset = tiny_dataset()
    assert with_corrections(dataset, dataset.labels, []) is dataset


def test_it_starts_from_the_weights_of_the_parent(bundle: Bundle) -> None:
    start = prepare(bundle, corrections(9, 4))
    weights = bundle.arrays(WEIGHTS)
    for name, tensor in start.state.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name])
    assert start.state.epoch == 0
    assert start.state.counts.shape == (30, 10)
    assert start.ids[-4:] == tuple(f"9-{i}" for i in range(4))
    assert len(start.ids) == len(start.dataset.labelled)


def test_it_takes_a_share_of_the_epochs_at_a_lower_rate(bundle: Bundle) -> None:
    original, warm = tiny_config(), prepare(bundle, corrections(9, 4)).config
    assert warm.fit.epochs == round(original.fit.epochs * WARM_SHARE)
    assert warm.fit.peak_lr < original.fit.peak_lr
    assert warm.objective.usage == 0.0


def test_it_leaves_out_what_only_a_first_fit_needs(bundle: Bundle) -> None:
    objective = {
        "gumbel_temperature": [1.0, 0.25],
        "options": {"soft_embedding": 0.5, "repulsion": 0.1},
        "curriculum": {"start": 4},
    }
    manifest = bundle.manifest
    other = {**manifest.configuration, "objective": objective}
    parent = replace(bundle, manifest=manifest.model_copy(update={"configuration": other}))
    warm = prepare(parent, corrections(9, 4)).config.objective
    assert warm.gumbel_temperature == (0.25, 0.25)
    assert (warm.options.soft_embedding, warm.options.repulsion) == (0.0, 0.1)
    assert warm.curriculum.start == 0


def test_weights_that_do_not_fit_are_refused(bundle: Bundle) -> None:
    manifest = bundle.manifest
    model = manifest.configuration["model"]
    assert isinstance(model, dict)
    wider = {**manifest.configuration, "model": {**model, "features": 48}}
    other = replace(bundle, manifest=manifest.model_copy(update={"configuration": wider}))
    with pytest.raises(BundleDamaged, match=r"weights\.safetensors: check 'weights' failed"):
        prepare(other, corrections(9, 1))


@dataclass(frozen=True, slots=True)
class Refitted:
    """What the job made of six nines by a relabel, and then of two fives by a refit.

    ``counted`` is the version that the refit began with; all eight were taken back out of
    ``withdrawn``.
    """

    relabelled: Bundle
    counted: Bundle
    refitted: Bundle
    withdrawn: Bundle
    result: RetrainResult
    relabel_ids: list[str]
    refit_ids: list[str]
    statuses: list[FeedbackStatus]


@pytest.fixture(scope="module")
def refitted(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Refitted:
    folder = tmp_path_factory.mktemp("refit")
    models = tiny.copy_models(folder)
    with FeedbackStore.open(f"sqlite:///{folder / 'feedback.db'}") as store:
        first = post(store, corrections(9, 6))
        assert retrain(models, store, "relabel", LENIENT) is not None
        relabelled = load_current(models)
        second = post(store, corrections(5, 2))
        result = retrain(models, store, "refit", LENIENT)
        assert result is not None
        statuses = [store.get(i).status for i in (*first, *second)]
        current = load_current(models)
        for feedback_id in (*first, *second):
            store.withdraw(feedback_id, "ann")
        assert retrain(models, store, "relabel", LENIENT) is not None
    counted = load_bundle(models / str(current.manifest.lineage.parent_version))
    bundles = (relabelled, counted, current, load_current(models))
    return Refitted(*bundles, result, first, second, statuses)


def test_lineage_says_what_was_counted_first_and_then_refitted(refitted: Refitted) -> None:
    counted, lineage = (b.manifest.lineage for b in (refitted.counted, refitted.refitted))
    assert (counted.method, lineage.method) == ("relabel", "refit")
    assert counted.parent_version == refitted.relabelled.version == refitted.result.parent
    assert list(counted.feedback_ids) == list(refitted.result.applied) == refitted.refit_ids
    assert (lineage.feedback_ids, lineage.withdrawn_ids) == ((), ())
    assert lineage.data_sha256 == tiny_dataset().sha256
    assert set(refitted.statuses) == {FeedbackStatus.APPLIED}


def test_earlier_corrections_stay_in_the_map(refitted: Refitted) -> None:
    label_map = read_label_map(refitted.refitted)
    assert label_map.labels == (*tiny_dataset().labels, NEW_LABEL)
    assert list(label_map.ids[-8:]) == [*refitted.relabel_ids, *refitted.refit_ids]
    assert label_map.evidence.sum() == pytest.approx(45 + 8)


def test_a_batch_taken_back_after_a_refit_leaves_the_map_of_the_fits_own_labels(
    refitted: Refitted,
) -> None:
    before, after = (read_label_map(b) for b in (refitted.refitted, refitted.withdrawn))
    assert (after.labels, after.ids) == (tiny_dataset().labels, before.ids[:45])
    np.testing.assert_allclose(after.contributions, before.contributions[:45], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(after.contribution_labels, tiny_dataset().labelled.y)
    assert refitted.withdrawn.manifest.files[WEIGHTS] == refitted.refitted.manifest.files[WEIGHTS]


def test_weights_moved_and_the_golden_set_did_not(refitted: Refitted) -> None:
    before, after = (b.manifest.files for b in (refitted.relabelled, refitted.refitted))
    assert before[WEIGHTS] != after[WEIGHTS]
    assert before[GOLDEN] == after[GOLDEN]


def test_the_picture_names_the_same_inputs_and_lies_alike(refitted: Refitted) -> None:
    before, after = (b.arrays(LATENT_MAP) for b in (refitted.relabelled, refitted.refitted))
    for name in ("number", "label", "x"):
        np.testing.assert_array_equal(before[name], after[name])
    old, new = (read_placement(b.read(SCORES)) for b in (refitted.relabelled, refitted.refitted))
    assert old is not None
    assert new is not None
    moved = np.linalg.norm(new.anchor - old.anchor, axis=1).mean()
    apart = np.linalg.norm(old.anchor[:, None] - old.anchor[None], axis=2).mean()
    assert 0.0 < moved < 0.5 * apart


def test_the_configuration_is_that_of_the_first_fit(refitted: Refitted) -> None:
    """Or the next refit would draw more labels from the data, for fewer epochs, at a lower rate."""
    assert from_json(refitted.refitted.manifest.configuration) == tiny_config()
    again = prepare(refitted.refitted, corrections(9, 1))
    assert again.config.fit.epochs == round(tiny_config().fit.epochs * WARM_SHARE)
    assert len(again.dataset.labelled) == 45 + 1


def test_a_refitted_bundle_answers(refitted: Refitted) -> None:
    dataset = tiny_dataset()
    known = dataset.test.y < 9
    predicted = Predictor.open(refitted.refitted).predict(dataset.test.x[known]).predicted
    truth = np.array(dataset.held_labels)[dataset.test.y[known]]
    assert (np.array(predicted) == truth).mean() > 0.7
