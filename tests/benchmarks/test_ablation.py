"""The ablation: every variant is a configuration, and the table is about all of them."""

from pathlib import Path

import pytest

from benchmarks.ablation import RECIPE, VARIANTS, main, measure
from benchmarks.result import read_result
from tests.benchmarks.small import SETTINGS, flags, small_config, small_dataset
from training.config_file import load_config
from training.recipe import settled


def test_every_variant_is_a_valid_configuration_and_differs_from_the_recipe() -> None:
    dataset = small_dataset()
    recipe = settled(load_config(None, ("fit.epochs=5",)), dataset)
    for variant in VARIANTS[1:]:
        changed = settled(load_config(None, ("fit.epochs=5", *variant.settings)), dataset)
        if variant.name != "no pseudo-labels":  # the recipe of small images has none
            assert changed != recipe, variant.name
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


def test_figures_are_shares_and_the_seed_decides_them() -> None:
    config = small_config()
    one, same, other = (measure(config, seed) for seed in (1, 1, 2))
    one.pop("fit_seconds"), same.pop("fit_seconds")
    assert one == same
    assert 0.2 < one["held_out_accuracy"] <= 1.0, "twice as good as chance after three epochs"
    assert 0.1 <= one["purity"] <= 1.0
    assert other["held_out_accuracy"] != one["held_out_accuracy"]


def test_a_table_a_picture_and_a_result_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, picture = tmp_path / "out.json", tmp_path / "out.png"
    name = "no usage reward"
    arguments = ["--data", "digits", "--seeds", "2", "--threads", "1", "--only", name]
    outputs = ["--json", str(path), "--picture", str(picture)]
    assert main([*arguments, *flags(SETTINGS), *outputs]) == 0
    result = read_result(path)
    assert result.seeds == (0, 1)
    assert result.config["variants"] == {RECIPE.name: [], name: ["objective.usage=0"]}
    assert len(result.figures[f"{name}: held_out_accuracy"].values) == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert sum(f"| {RECIPE.name} |" in line and "| +0.0 |" in line for line in lines) == 1


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(SystemExit, match=r"--only: expected names among 'recipe'.*got 'nothing'"):
        main(["--only", "nothing"])
