"""The out-of-distribution benchmark from its command line, on a run of seconds."""

import json
from pathlib import Path

import pytest

from benchmarks.ood import main
from tests.benchmarks.small import SETTINGS, flags
from training.__main__ import main as training


def test_a_run_writes_figures_of_ours_and_the_peers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a run's folder: that it was trained here or there makes no difference."""
    run, path = tmp_path / "run", tmp_path / "result.json"
    settings = [*flags(SETTINGS), "--set", "fit.threads=1"]
    assert (
        training(["train", str(run), "--data", "digits", "--labels", "100", "--quiet", *settings])
        == 0
    )
    short = ["--inputs", "60", "--cnn-steps", "5", "--peers", "few", "--pictures", str(tmp_path)]
    assert main(["--data", "digits", "--runs", str(run), *short, "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    figures = document["figures"]
    assert document["seeds"] == [0]
    for score in ("fused", "mahalanobis", "texture", "atypicality", "cnn_few_vim", "cnn_few_knn"):
        assert 0.0 <= figures[f"uniform_noise/{score}/auroc"]["mean"] <= 1.0
    assert figures["uniform_noise/fused/auroc"]["mean"] > 0.95
    assert figures["worst_auroc"]["mean"] <= figures["uniform_noise/fused/auroc"]["mean"]
    assert "rotated_180_not_a_digit/fused/fpr95" in figures
    assert 0.0 <= figures["question_1_alarms_at_0.05"]["mean"] <= 0.5
    assert (tmp_path / "misses-0.png").read_bytes()[1:4] == b"PNG"
    shown = capsys.readouterr()
    assert "seed 0: worst_auroc" in shown.err
    assert "uniform_noise/fused/auroc" in shown.out
    assert "cnn_few" not in shown.out
    assert main(["--table", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| score | uniform noise | inverted |")
    assert {"`fused`", "`texture`", "`cnn_few_vim`"} <= {line.split(" | ")[0][2:] for line in lines}
    assert len({line.count("|") for line in lines}) == 1
