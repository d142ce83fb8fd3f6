"""The calibration benchmark from its command line, on a run of seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from benchmarks.calibration import main
from benchmarks.calibration_run import (
    conformal_answers,
    cross_entropy_temperature,
    figures_of_answers,
)
from rcmvae.bundle import Lineage, publish_bundle
from tests.benchmarks.small import flags, small_config, small_dataset
from training.assemble import assemble
from training.data import label_ids
from training.encode import softmax
from training.fit import fit


def test_a_fit_is_judged_in_three_ways_beside_its_peer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    asked = ["--labels", "100", "--threads", "1", "--cnn-steps", "20", *flags()]
    assert main([*asked, "--seeds", "1", "--first-seed", "4", "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    assert document["seeds"] == [4]
    assert document["config"]["run"]["seed"] == 0, "else seeds could not be merged"
    figures = {name: figure["mean"] for name, figure in document["figures"].items()}
    for prefix in ("", "few_labels_", "held_out_", "cnn_", "cnn_scaled_"):
        assert 0.0 <= figures[f"{prefix}ece"] <= 1.0
        assert 0.9 <= figures[f"{prefix}coverage_95"] <= 1.0
        assert figures[f"{prefix}coverage_95"] <= figures[f"{prefix}coverage_99"]
        assert figures[f"{prefix}size_95"] <= figures[f"{prefix}size_99"]
    assert figures["accuracy"] == figures["few_labels_accuracy"]
    assert figures["held_out_alpha0"] == pytest.approx(0.02)
    assert figures["alpha0"] != figures["held_out_alpha0"]
    assert figures["cnn_accuracy"] == figures["cnn_scaled_accuracy"]
    assert "seed 4: accuracy" in capsys.readouterr().err


def test_a_bundle_is_judged_as_it_lies(tmp_path: Path) -> None:
    config, dataset = small_config(), small_dataset()
    state = fit(dataset, config, quiet=True)
    draft = assemble(state.network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    version = publish_bundle(tmp_path, draft, expected_parent=None).bundle_version
    path = tmp_path / "result.json"
    runs = ["--runs", str(tmp_path / version), "--peers", "none"]
    assert main([*runs, "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    assert document["seeds"] == [config.seed]
    assert document["config"]["peers"] == {}
    assert 0.0 < document["figures"]["brier"]["mean"] < 1.0


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"--runs: {tmp_path.name}: expected a run"):
        main(["--runs", str(tmp_path), "--peers", "none"])


def test_temperature_scaling_is_no_worse_than_any_on_a_grid() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 300)
    logits = 6.0 * (np.eye(3)[label] + rng.normal(size=(300, 3)))
    chosen = cross_entropy_temperature(logits, label)
    losses = [log_loss(label, softmax(logits / t)) for t in np.geomspace(0.05, 20.0, 200)]
    assert log_loss(label, softmax(logits / chosen)) <= min(losses) + 1e-5


def test_sets_of_a_peer_cover_what_they_say() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(4, 0.4), 6000)
    truth = (rng.random((6000, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=3)
    known = conformal_answers(p[:3000], truth[:3000], p[3000:], truth[3000:])
    figures = figures_of_answers(known, 3000)
    assert figures["inside_drawn_95"] == figures["inside_drawn_99"] == 1.0
    assert figures["conditional_lowest_coverage_95"] > 0.92
    assert figures["ece"] < 0.03
