"""The speed benchmark from its command line, on a run of seconds."""

import json
from pathlib import Path

from benchmarks.throughput import epoch_cost, step_figures
from benchmarks.training_speed import main
from tests.benchmarks.small import flags, small_config, small_dataset


def test_a_quick_run_has_all_parts_and_null_for_the_unreachable(tmp_path: Path) -> None:
    result, picture = tmp_path / "speed.json", tmp_path / "curves.png"
    short = ["--budget-seconds", "1", "--targets", "0.05", "0.9999"]
    written = ["--json", str(result), "--picture", str(picture)]
    arguments = ["--data", "digits", "--quick", "--threads", "1", *short, *written, *flags()]
    assert main(arguments) == 0
    document = json.loads(result.read_text())
    assert document["commit"]
    assert document["command"].startswith("python -m benchmarks.training_speed --data digits")
    figures = {name: figure["values"] for name, figure in document["figures"].items()}
    assert figures["ours_seconds_to_99.99"] == figures["ratio_to_99.99"] == [None]
    assert document["figures"]["pyro_seconds_to_99.99"]["mean"] is None
    assert figures["ours_seconds_to_5"][0] > 0.0
    assert figures["images_of_500"] == [500]
    assert figures["seconds_per_epoch_of_500"][0] > 0.0
    assert {curve["name"] for curve in document["curves"]} == {"ours", "pyro"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_part_can_be_asked_for_alone(tmp_path: Path) -> None:
    result = tmp_path / "speed.json"
    arguments = ["--data", "digits", "--quick", "--threads", "1", "--part", "step", *flags()]
    assert main([*arguments, "--json", str(result)]) == 0
    document = json.loads(result.read_text())
    assert set(document["figures"]) == {
        "step_images_per_second",
        "floor_images_per_second",
        "one_view_floor_images_per_second",
        "step_share_of_floor",
    }
    assert document["curves"] == []


def test_the_step_costs_more_than_its_floor() -> None:
    figures = step_figures(small_dataset(), small_config(), epochs=1, steps=15)
    assert 0.0 < figures["step_share_of_floor"] < 1.0
    assert figures["floor_images_per_second"] < figures["one_view_floor_images_per_second"]


def test_an_epoch_goes_through_whole_batches() -> None:
    cost = epoch_cost(small_dataset(), small_config(), epochs=1)
    assert cost.images == 448, "seven batches of 64 out of 500"
    assert cost.images_per_second == 448 / cost.seconds
