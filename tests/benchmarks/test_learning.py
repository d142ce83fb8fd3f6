"""The learning benchmark from its command line, on a run of seconds."""

import json
from pathlib import Path

import pytest

from benchmarks import learning
from benchmarks.learning import main
from benchmarks.result import read_result, write_result
from tests.benchmarks.small import flags, small_result
from training.run import RunFolder
from training.run_io import read_run

QUICK = ["--labels", "100", "--threads", "1", "--cnn-steps", "20", *flags()]


def test_a_run_writes_figures_of_ours_and_the_peers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    assert main([*QUICK, "--seeds", "1", "--first-seed", "4", "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    assert document["seeds"] == [4]
    assert document["commit"] not in ("", "unknown")
    assert document["command"].startswith("python -m benchmarks.learning --labels 100")
    assert document["config"]["run"]["fit"]["threads"] == 1
    assert document["config"]["peers"]["cnn"]["steps"] == 20
    for name in ("accuracy", "label_spreading_accuracy", "cnn_accuracy", "purity"):
        assert 0.0 < document["figures"][name]["mean"] <= 1.0
    for name in ("fit_seconds", "label_spreading_seconds", "cnn_seconds", "effective_channels"):
        assert document["figures"][name]["mean"] > 0.0
    shown = capsys.readouterr()
    assert "worst seed: 4, accuracy" in shown.out
    assert "seed 4: accuracy" in shown.err


def test_a_killed_run_leaves_the_seeds_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: object, seed: int, *__: object) -> dict[str, float]:
        if seed == 2:
            raise KeyboardInterrupt
        return {"accuracy": 0.5 + seed / 10}

    monkeypatch.setattr(learning, "measure_seed", measure)
    path = tmp_path / "result.json"
    with pytest.raises(KeyboardInterrupt):
        main(["--seeds", "5", "--json", str(path)])
    left = read_result(path)
    assert left.seeds == (0, 1)
    assert left.figures["accuracy"].values == (0.5, 0.6)


def test_runs_are_kept_and_gone_on_with(tmp_path: Path) -> None:
    arguments = [*QUICK, "--seeds", "1", "--peers", "none", "--keep", str(tmp_path / "runs")]
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    assert main([*arguments, "--json", str(first)]) == 0
    config, _, state = read_run(RunFolder(tmp_path / "runs" / "seed-0"))
    assert state.epoch == config.fit.epochs
    assert main([*arguments, "--json", str(again)]) == 0
    figures = read_result(first).figures
    assert read_result(again).figures["accuracy"] == figures["accuracy"]
    assert read_result(again).figures["fit_seconds"] == figures["fit_seconds"]


def test_results_are_merged_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [str(tmp_path / name) for name in ("a.json", "b.json")]
    write_result(small_result((1, 2), (0.9, 0.7)), Path(parts[0]))
    write_result(small_result((0,), (0.8,)), Path(parts[1]))
    target = tmp_path / "both.json"
    assert main(["--merge", *parts, "--json", str(target)]) == 0
    assert read_result(target).figures["accuracy"].values == (0.8, 0.9, 0.7)
    assert "worst seed: 2, accuracy 0.7000" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--merge: seeds: expected each once"):
        main(["--merge", parts[0], parts[0]])
    target.write_text("{}")
    with pytest.raises(SystemExit, match=r"--merge: both\.json: expected a result"):
        main(["--merge", str(target)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["--data", "mnist"], "RCMVAE_DATA_DIR: expected the folder"),
    ],
)
def test_what_cannot_be_run_is_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RCMVAE_DATA_DIR", raising=False)
    with pytest.raises(SystemExit, match=message):
        main(arguments)
