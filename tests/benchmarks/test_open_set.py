"""The open-set benchmark from its command line, on runs of seconds."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.open_set import drawn_unknown, main, without_unknown
from tests.benchmarks.small import flags, small_config, small_dataset
from training.data import NO_LABEL, load_source

UNKNOWN = ('data.unlabelled_classes=["3", "8"]', "data.labels=80")


def test_a_run_writes_figures_of_both_streams(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    arguments = ["--data", "digits", "--seeds", "1", "--threads", "1", *flags()]
    assert main([*arguments, "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    assert document["config"]["unknown"] == 4
    for stream in ("present", "absent"):
        for score in ("unowned", "fused", "either", "both"):
            assert 0.0 <= document["figures"][f"{stream}/{score}/auroc"]["mean"] <= 1.0
        assert 0.3 < document["figures"][f"{stream}/known_accuracy"]["mean"] <= 1.0
    merged = tmp_path / "merged.json"
    assert main(["--merge", str(path), "--json", str(merged)]) == 0
    assert json.loads(merged.read_text())["figures"] == document["figures"]
    with pytest.raises(SystemExit, match="--merge: seeds: expected each once"):
        main(["--merge", str(path), str(merged)])


def test_the_unknown_classes_are_drawn_by_the_seed() -> None:
    names = tuple("0123456789")
    drawn = [drawn_unknown(names, 4, seed) for seed in range(5)]
    assert len(set(drawn)) == 5
    assert all(len(set(some)) == 4 and list(some) == sorted(some) for some in drawn)
    assert drawn[0] == drawn_unknown(names, 4, 0)


def test_an_absent_class_is_in_no_part_but_the_test() -> None:
    dataset, run = small_dataset(*UNKNOWN), small_config(*UNKNOWN)
    left = without_unknown(dataset, run)
    source = load_source("digits")
    assert not np.isin(source.train.y[left.split.unlabelled], (3, 8)).any()
    np.testing.assert_array_equal(left.unlabelled, source.train.x[left.split.unlabelled])
    assert len(left.unlabelled) < len(dataset.unlabelled)
    assert NO_LABEL in dataset.calibration.y
    for part in (left.density, left.calibration):
        assert len(part) > 0
        assert NO_LABEL not in part.y
    np.testing.assert_array_equal(left.test.x, dataset.test.x)
    np.testing.assert_array_equal(left.labelled.x, dataset.labelled.x)
