"""What suits the data: nothing given is overruled, and nothing stays open."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.errors import InvalidInput
from tests.training.tiny import SETTINGS, set_flags
from training.__main__ import main
from training.config import RunConfig, to_json
from training.config_file import load_config
from training.data import Dataset, Examples, Split, load_dataset
from training.recipe import (
    IMAGES,
    SMALL_IMAGES,
    VECTORS,
    budget,
    filled,
    recipe_of,
    require_settled,
    settled,
)
from training.run import RunFolder
from training.run_io import read_config
from training.setting import AUTO, is_auto


def dataset_of(shape: tuple[int, ...], count: int = 900, held_out: int = 300) -> Dataset:
    """Three classes of zeros: the recipe looks at shapes and numbers alone."""

    def examples(size: int) -> Examples:
        return Examples(np.zeros((size, *shape), np.float32), np.arange(size) % 3)

    def index(size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.arange(size)

    density = held_out // 5
    names = ("a", "b", "c")
    return Dataset(
        labels=names,
        held_labels=names,
        split=Split(index(count), index(9), index(density), index(held_out - density), index(50)),
        unlabelled=examples(count).x,
        labelled=examples(9),
        density=examples(density),
        calibration=examples(held_out - density),
        test=examples(50),
        sha256="",
    )


SHAPES = {(1, 8, 8): SMALL_IMAGES, (1, 28, 28): IMAGES, (3, 11, 40): SMALL_IMAGES, (13,): VECTORS}


@pytest.mark.parametrize(("shape", "recipe"), SHAPES.items())
def test_nothing_stays_open_and_settling_again_changes_nothing(
    shape: tuple[int, ...], recipe: RunConfig
) -> None:
    assert recipe_of(shape, 3.0) is recipe
    dataset = dataset_of(shape)
    config = settled(RunConfig(), dataset)
    require_settled(config)
    assert settled(config, dataset) == config
    assert config.model.num_channels == 9
    assert (config.data.held_out, config.data.test) == (300, 50)


def test_a_ramp_is_left_open_by_the_word_and_given_by_two_shares() -> None:
    open_ramp = load_config(None, ["objective.usage_fade=auto"])
    assert is_auto(open_ramp.objective.usage_fade)
    assert to_json(open_ramp)["objective"]["usage_fade"] == "auto"  # type: ignore[index, call-overload]
    assert settled(open_ramp, dataset_of((1, 28, 28))).objective.usage_fade == (0.1, 0.3)
    with pytest.raises(InvalidInput, match=r"objective\.usage_fade: expected auto, or two shares"):
        load_config(None, ["objective.usage_fade=[0.2, 1.5]"])


def test_many_labels_are_trusted_more_than_agreement() -> None:
    few, many = (recipe_of((1, 28, 28), float(count)) for count in (29, 30))
    assert many.objective.supervised > few.objective.supervised
    assert many.objective.channel_agreement < few.objective.channel_agreement
    assert recipe_of((1, 8, 8), 100.0) is SMALL_IMAGES
    assert recipe_of((13,), 100.0) is VECTORS


def test_vectors_get_no_augmentation_and_the_parts_that_suit_them() -> None:
    config = settled(RunConfig(), dataset_of((13,)))
    assert config.augment == replace(config.augment, rotation=0, scale=0, shear=0, shift=0)
    assert (config.model.encoder, config.model.likelihood) == ("mlp", "gaussian")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.encoder=mlp", "mlp"),
        ("model.likelihood=gaussian", "gaussian"),
        ("model.sigma=pixel", "pixel"),
        ("model.num_channels=5", 5),
        ("augment.rotation=0", 0.0),
        ("augment.shift=0.5", 0.5),
        ("fit.epochs=120", 120),
        ("fit.epochs=7", 7),
        ("fit.peak_lr=0.002", 0.002),
        ("objective.label_agreement=0", 0.0),
        ("calibration.alpha=0.3", 0.3),
    ],
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (13,)])
def test_what_is_given_wins(shape: tuple[int, ...], override: str, expected: object) -> None:
    section, field = override.partition("=")[0].split(".")
    config = settled(load_config(None, [override]), dataset_of(shape))
    assert getattr(getattr(config, section), field) == expected


def test_a_choice_that_contradicts_what_suits_the_data_is_refused() -> None:
    given = load_config(None, ["objective.curriculum.start=2", "fit.batch=1"])
    with pytest.raises(InvalidInput, match="kick_epochs"):
        settled(given, dataset_of((1, 8, 8)))


def test_digits_keep_their_epochs_and_mnist_gets_sixteen() -> None:
    assert settled(RunConfig(), dataset_of((1, 8, 8), 900)).fit.epochs == 120
    assert round(budget(58_000) / (58_000 // 128)) == 16


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_inputs_get_more_steps_and_fewer_looks_at_each(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert 840 <= budget(few) <= budget(many)
    assert budget(few) / few >= budget(many) / many


@pytest.mark.parametrize(("held_out", "alpha"), [(300, 0.01), (35, 0.07), (6, 0.34), (3, 0.5)])
def test_alpha_is_one_at_which_an_alarm_is_possible(held_out: int, alpha: float) -> None:
    config = settled(RunConfig(), dataset_of((13,), 90, held_out))
    assert config.calibration.alpha == pytest.approx(alpha)


def test_digits_are_what_they_were() -> None:
    given = RunConfig()
    config = settled(given, load_dataset(given.data, given.seed))
    assert (config.data.held_out, config.data.test) == (300, 597)
    augment = config.augment
    assert (augment.rotation, augment.scale, augment.shear, augment.shift) == (
        0.25,
        0.15,
        0.2,
        0.08,
    )
    assert (config.fit.epochs, config.calibration.alpha) == (120, 0.01)
    assert (config.model.encoder, config.model.likelihood) == ("conv", "bernoulli")
    assert config.model.num_channels == 30


def test_an_open_configuration_says_so_and_is_not_fitted() -> None:
    assert to_json(RunConfig())["fit"]["epochs"] == "auto"  # type: ignore[index, call-overload]
    with pytest.raises(InvalidInput, match=r"data\.held_out: expected a settled configuration"):
        require_settled(RunConfig())


def test_filling_takes_open_fields_alone() -> None:
    config = load_config(None, ["fit.epochs=3"])
    source = replace(SMALL_IMAGES, fit=replace(SMALL_IMAGES.fit, epochs=9, batch=7))
    fit = filled(config, source).fit
    assert (fit.epochs, fit.batch, fit.peak_lr) == (3, config.fit.batch, source.fit.peak_lr)
    assert config.augment.shear == AUTO
    assert filled(config, source).augment.shear == 0.2


def test_a_run_that_goes_on_decides_nothing_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    flags = ["--quiet", *set_flags(SETTINGS), "--set", "fit.epochs=1"]
    assert main(["train", str(run), *flags]) == 0
    before = read_config(RunFolder(run))
    monkeypatch.setattr("training.recipe.SMALL_IMAGES", replace(IMAGES, augment=VECTORS.augment))
    assert main(["train", str(run), *flags]) == 0
    assert read_config(RunFolder(run)) == before
    assert before.augment.rotation == 0.25


@pytest.mark.parametrize(("labels", "source"), [(100, "leave_one_out"), (500, "held_out")])
def test_many_labels_are_known_by_heart_and_say_nothing_of_how_sure_to_be(
    labels: int, source: str
) -> None:
    recipe = recipe_of((1, 28, 28), labels / 10)
    assert recipe.calibration.probabilities == source
