"""From no label at all: fit, serve, ask, count, and train on what was answered."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rcmvae.bundle import Bundle, load_current, stage_bundle
from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.calibration import parse_calibration
from rcmvae.counts import read_label_map
from rcmvae.errors import InvalidInput
from rcmvae.predictor import Predictor
from tests.training.tiny import SETTINGS, corrections, run_main, set_flags, tiny_dataset, unseen
from training.config_file import load_config
from training.objective import supervised_nll
from training.refit import prepare
from training.relabel import relabel
from training.restart import merged_labels

COLD = (*SETTINGS, "data.labels=0", "fit.epochs=2", "fit.restarts=2")


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("cold")
    run_main("train", str(folder / "run"), "--quiet", *set_flags(COLD))
    run_main("export", str(folder / "run"), "--models", str(folder / "models"))
    return load_current(folder / "models")


def test_without_labels_nothing_is_claimed_to_be_known(cold: Bundle) -> None:
    label_map = read_label_map(cold)
    assert (label_map.ids, label_map.labels) == ((), tuple("012345678"))
    assert label_map.counts.sum() == 0.0
    assert parse_calibration(cold.read(CALIBRATION)).temperature == 1.0
    answers = Predictor.open(cold).predict(tiny_dataset().test.x)
    assert_allclose(answers.probabilities, 1 / 9, rtol=1e-5)
    assert (answers.p_owned == 1.0).all(), "nothing is less owned than anything else"
    assert (answers.responsibilities.std(axis=0) > 0.0).any()


def test_the_first_labels_are_counted(cold: Bundle, tmp_path: Path) -> None:
    first = [item for digit in (0, 1) for item in corrections(digit, 3)]
    after = stage_bundle(tmp_path, relabel(cold, first))
    label_map = read_label_map(after)
    assert_allclose(label_map.counts.sum(axis=0), [3, 3, 0, 0, 0, 0, 0, 0, 0])
    answers = Predictor.open(after).predict(np.concatenate([unseen(0, 2), unseen(1, 2)]))
    assert set(answers.predicted) <= {"0", "1"}


def test_a_refit_trains_on_the_first_labels(cold: Bundle) -> None:
    start = prepare(cold, corrections(0, 3))
    assert start.config.data.labels == len(start.dataset.labelled) == 3
    assert start.config.objective.supervised > 0.0


def test_no_example_costs_nothing_and_merges_nothing() -> None:
    r = torch.empty(0, 4, requires_grad=True)
    loss = supervised_nll(r, torch.full((4, 2), 0.5), torch.empty(0, dtype=torch.int64))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert r.grad is not None
    assert merged_labels(torch.zeros(4, 3)) == []


def test_a_term_that_needs_labels_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"objective\.options\.contrastive"):
        load_config(None, ["data.labels=0", "objective.options.contrastive=0.1"])
