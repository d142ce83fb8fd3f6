"""What is written names its commit and command, and keeps what was not reached."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.result import (
    ROOT,
    Figure,
    figure_of,
    figures_of,
    print_figures,
    provenance,
    read_result,
    write_result,
)
from tests.benchmarks.small import small_result


def test_mean_and_sample_deviation() -> None:
    figure = figure_of([1.0, 2.0, 6.0])
    assert figure.mean == 3.0
    assert figure.sd == pytest.approx(7.0**0.5)
    assert figure.range == (1.0, 6.0)
    assert figure_of([5.0]) == Figure(5.0, 0.0, (5.0,))


def test_a_figure_that_a_seed_did_not_reach_has_no_mean() -> None:
    figure = figure_of([4.0, None])
    assert (figure.mean, figure.sd, figure.values) == (None, None, (4.0, None))
    assert figure.range == (4.0, 4.0)
    assert figure_of([None]).range is None


def test_figures_stand_over_the_seeds() -> None:
    assert figures_of([{"a": 1.0, "b": None}, {"a": 3.0, "b": 2.0}])["a"].values == (1.0, 3.0)


def test_the_command_can_be_typed_again() -> None:
    origin = provenance("learning", ["--set", 'data.unlabelled_classes=["9"]'])
    assert origin.command == (
        "python -m benchmarks.learning --set 'data.unlabelled_classes=[\"9\"]'"
    )


def test_the_command_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    command = provenance("learning", ["--json", str(tmp_path / "a.json"), "var/b.json"]).command
    assert command == "python -m benchmarks.learning --json a.json var/b.json"


def test_the_commit_is_that_of_the_checkout() -> None:
    line = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(line, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    commit = provenance("learning", []).commit.removesuffix("-dirty")
    assert head
    assert head.startswith(commit)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = small_result((0, 1), (0.9, 0.8))
    path = tmp_path / "deeper" / "result.json"
    write_result(result, path)
    assert read_result(path) == result
    document = json.loads(path.read_text())
    assert document["commit"] == "abc1234"
    assert document["command"] == "run (0, 1)"


def test_the_table_has_a_dash_for_what_was_not_reached(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures({"seconds_to_99": figure_of([None, 7.5])})
    assert capsys.readouterr().out.splitlines()[1].split() == (
        ["seconds_to_99", "-", "-", "7.5000", "7.5000", "-", "7.5"]
    )
