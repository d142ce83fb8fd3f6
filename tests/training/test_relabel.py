"""Relabel: corrections become counts, without torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_current, publish_bundle
from rcmvae.bundle.manifest import (
    CALIBRATION,
    DECODER,
    ENCODER,
    GOLDEN,
    LATENT_MAP,
    SCORES,
    TAU,
    WEIGHTS,
)
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.errors import NoFreeChannel
from rcmvae.feedback import FeedbackStore
from rcmvae.label_map import LabelMap
from rcmvae.predictor import Predictor
from tests.training.tiny import NEW_LABEL, corrections, post, unseen
from training.relabel import Correction, add_corrections, relabel
from training.sharpness import fit_sharpness

ROOT = Path(__file__).parents[2]
X = np.zeros((1, 2, 2), dtype=np.float32)


def small_map() -> LabelMap:
    """Two labels on channels 0 and 1; channels 2 to 4 are free."""
    contributions = np.zeros((4, 5))
    contributions[[0, 1], 0] = contributions[[2, 3], 1] = 1.0
    columns = np.array([0, 0, 1, 1])
    return LabelMap(("a", "b"), contributions, columns, tuple("1234"), alpha0=0.05)


def named(*labels: str) -> list[Correction]:
    return [Correction(f"f{i}", label, X) for i, label in enumerate(labels)]


def r(*rows: list[float]) -> NDArray[np.float64]:
    return np.array(rows)


def test_a_known_label_adds_its_responsibilities() -> None:
    before = small_map()
    after = add_corrections(before, named("b"), r([0.3, 0.5, 0.2, 0.0, 0.0]), 0.5)
    expected = np.zeros((5, 2))
    expected[:, 1] = [0.3, 0.5, 0.2, 0.0, 0.0]
    np.testing.assert_allclose(after.counts - before.counts, expected, atol=1e-12)
    assert after.labels == before.labels


def test_a_new_label_counts_where_its_examples_lie_and_takes_nothing_from_the_old() -> None:
    before = small_map()
    rows = r([0.4, 0.0, 0.5, 0.1, 0.0], [0.2, 0.0, 0.6, 0.2, 0.0])
    after = add_corrections(before, named("new", "new"), rows, 0.5)
    assert after.labels == ("a", "b", "new")
    np.testing.assert_allclose(after.counts[:, 2], [0.6, 0.0, 1.1, 0.3, 0.0], atol=1e-12)
    np.testing.assert_array_equal(after.counts[:, :2], before.counts)
    assert after.tau.argmax(axis=1)[:3].tolist() == [0, 1, 2]
    # Where no new example lies, the new label gets the floor and the old ones keep their odds.
    assert after.tau[1, 2] == pytest.approx(0.05 / 2.15)
    assert after.tau[1, 0] / after.tau[1, 1] == pytest.approx(before.tau[1, 0] / before.tau[1, 1])


def test_corrections_of_known_and_new_labels_keep_their_order() -> None:
    rows = np.eye(5)[[2, 0, 2, 1]]
    after = add_corrections(small_map(), named("new", "a", "new", "b"), rows, 0.5)
    assert after.ids == (*"1234", "f0", "f1", "f2", "f3")
    np.testing.assert_array_equal(after.contribution_labels[4:], [2, 0, 2, 1])
    np.testing.assert_allclose(after.contributions[4:], rows)


def test_the_same_correction_twice_counts_once() -> None:
    row = r([0.3, 0.5, 0.2, 0.0, 0.0])
    once = add_corrections(small_map(), named("b"), row, 0.5)
    twice = add_corrections(once, named("b"), row, 0.5)
    np.testing.assert_array_equal(twice.counts, once.counts)


def test_no_free_channel_is_said() -> None:
    with pytest.raises(NoFreeChannel, match="a refit has to make room"):
        add_corrections(small_map(), named("new"), np.eye(5)[:1], free_mass=0.0)
    add_corrections(small_map(), named("a"), np.eye(5)[:1], free_mass=0.0)


@pytest.fixture
def published(models: Path) -> Bundle:
    """The tiny bundle after ten nines, published."""
    parent = load_current(models)
    publish_bundle(models, relabel(parent, corrections(9, 10)), expected_parent=parent.version)
    return load_current(models)


def test_a_relabelled_bundle_stands_on_its_parent(bundle: Bundle, published: Bundle) -> None:
    manifest, parent = published.manifest, bundle.manifest
    assert manifest.lineage.method == "relabel"
    assert manifest.lineage.parent_version == bundle.version
    assert manifest.lineage.feedback_ids == tuple(f"9-{i}" for i in range(10))
    assert manifest.lineage.data_sha256 == parent.lineage.data_sha256
    assert manifest.configuration == parent.configuration
    assert manifest.bundle_version > parent.bundle_version
    for name in (ENCODER, DECODER, SCORES, GOLDEN, WEIGHTS):
        assert manifest.files[name] == parent.files[name], name
    for name in (TAU, CALIBRATION, LATENT_MAP):
        assert manifest.files[name] != parent.files[name], name
    assert manifest.metrics["parity_latent"] == parent.metrics["parity_latent"]


def test_a_new_label_leaves_old_rows_and_gets_answered(bundle: Bundle, published: Bundle) -> None:
    before, after = read_label_map(bundle), read_label_map(published)
    assert after.labels == (*before.labels, NEW_LABEL)
    np.testing.assert_allclose(after.counts[:, :-1], before.counts, atol=1e-9)
    assert after.counts[:, -1].sum() == pytest.approx(10.0, abs=1e-5)
    inputs = unseen(9, 40)[10:]
    old, new = (Predictor.open(b).predict(inputs).predicted for b in (bundle, published))
    assert NEW_LABEL not in old
    assert new.count(NEW_LABEL) >= len(inputs) / 3


def test_a_relabelled_bundle_is_calibrated_with_the_new_examples(
    bundle: Bundle, published: Bundle
) -> None:
    before, after = (parse_calibration(b.read(CALIBRATION)) for b in (bundle, published))
    assert before.probability_source == after.probability_source == "leave_one_out"
    chosen = fit_sharpness(read_label_map(published))
    assert (after.temperature, after.alpha0) == (chosen.temperature, chosen.alpha0)
    np.testing.assert_allclose(after.fused, before.fused, rtol=1e-4)
    assert len(after.owned) == len(before.owned) + 10
    assert len(after.label_set) == len(before.label_set) + 10


def test_relabelled_reference_points_keep_their_places(bundle: Bundle, published: Bundle) -> None:
    before, after = bundle.arrays(LATENT_MAP), published.arrays(LATENT_MAP)
    for name in ("number", "position", "channel", "label", "fused", "usage", "x"):
        np.testing.assert_array_equal(before[name], after[name])
    assert (after["predicted"] == 9).any()


def test_taking_a_correction_back_restores_the_counts(bundle: Bundle, published: Bundle) -> None:
    after = read_label_map(published)
    back = after.withdraw([f"9-{i}" for i in range(10)])
    np.testing.assert_allclose(back.counts[:, :-1], read_label_map(bundle).counts, atol=1e-9)


PROGRAM = """
import sys
from rcmvae.feedback import FeedbackStore
from training.__main__ import main
assert main(["retrain", "--models", sys.argv[1], "--store", sys.argv[2]]) == 0
with FeedbackStore.open(sys.argv[2]) as store:
    assert store.counts_by_status().applied == 3
print(sorted({"torch", "matplotlib", "bentoml", "onnxscript"} & set(sys.modules)))
"""


def test_a_relabel_loads_no_torch(models: Path, store_url: str) -> None:
    with FeedbackStore.open(store_url) as store:
        post(store, corrections(3, 3))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(models), store_url],
        cwd=models.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
