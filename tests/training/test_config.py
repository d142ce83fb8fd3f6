"""The configuration: defaults, a TOML file, flags on top, and errors that name the field."""

from pathlib import Path

import pytest

from rcmvae.errors import InvalidInput
from training.config import RunConfig, from_json, to_json
from training.config_file import load_config


def test_without_file_and_flags_the_defaults_hold() -> None:
    assert load_config(None) == RunConfig()


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('seed = 3\n[fit]\nepochs = 7\nbatch = 32\n[data]\nsource = "x.npz"\n')
    config = load_config(path, ["fit.epochs=9", "model.encoder=mlp", "augment.shift=0.5"])
    assert (config.seed, config.fit.batch, config.data.source) == (3, 32, "x.npz")
    assert (config.fit.epochs, config.model.encoder, config.augment.shift) == (9, "mlp", 0.5)


def test_an_override_takes_lists_and_bare_words() -> None:
    config = load_config(None, ['data.unlabelled_classes=["8", "9"]', "data.source=some/folder"])
    assert config.data.unlabelled_classes == ("8", "9")
    assert config.data.source == "some/folder"


def test_json_round_trip() -> None:
    config = load_config(None, ["seed=5", 'data.unlabelled_classes=["9"]', "fit.peak_lr=0.125"])
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("fit.epochs=many", "fit.epochs"),
        ("fit.epochs=1.5", "fit.epochs"),
        ("fit.epoch=3", "fit.epoch"),
        ("speed=3", "speed"),
        ("fit=3", "fit"),
        ("model.encoder=transformer", "model.encoder"),
        ("objective.usage_fade=[0.1]", "objective.usage_fade.1"),
        ("fit.epochs", "--set"),
        ("=3", "--set"),
    ],
)
def test_a_wrong_override_is_refused_by_name(override: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_config(None, [override])
    assert caught.value.field == field


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a section that exists, got 'seed'"):
        load_config(None, ["seed=1", "seed.deeper=2"])


@pytest.mark.parametrize(
    "content", [b"fit = [", b"\xff\xfe", b"[fit]\nepochs = 1\nepochs = 2"], ids=repr
)
def test_an_unreadable_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"config: .*run\.toml"):
        load_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"missing\.toml"):
        load_config(tmp_path / "missing.toml")


def test_a_wrong_field_in_a_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[calibration]\nalpha = "low"\n')
    with pytest.raises(InvalidInput) as caught:
        load_config(path)
    assert caught.value.field == "calibration.alpha"
    assert caught.value.actual == "'low'"


@pytest.mark.parametrize(
    "override",
    [
        "seed=-1",
        "data.labels=-1",
        "data.held_out=0",
        "data.density_share=0.0",
        "data.density_share=3.0",
        "data.limit=-5",
        "model.latent_dim=0",
        "objective.alpha0=0",
        "objective.alpha0=inf",
        "objective.usage=-1.0",
        "augment.scale=1.0",
        "fit.epochs=0",
        "fit.batch=0",
        "fit.labelled_batch=0",
        "fit.peak_lr=nan",
        "fit.threads=-1",
        "fit.checkpoint_epochs=0",
        "fit.checkpoint_seconds=-1",
        "fit.device=tpu",
        "fit.precision=float16",
        "calibration.alpha=2",
        "calibration.count_views=0",
        "calibration.parity=0",
        "model.layout=both",
        "model.prior=cauchy",
        "model.decoder=deep",
        "model.conditioning=gate",
        "model.likelihood=poisson",
        "model.sigma=row",
        "model.centres=line",
        "model.centre_distance=0",
        "model.channel_prior=learned",
        "objective.routing=hard",
        "objective.kl_form=none",
        "objective.usage_momentum=1.0",
        "objective.options.repulsion=-1",
        "objective.options.peak=0",
        "objective.options.contrastive_temperature=0",
        "objective.options.soft_embedding=1.5",
        "objective.options.unknown=1",
        "objective.curriculum.start=-1",
        "objective.curriculum.step=0",
        "objective.curriculum.end=1.0",
    ],
)
def test_a_value_out_of_range_is_refused_by_name(override: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_config(None, [override])
    assert caught.value.field == override.partition("=")[0]


@pytest.mark.parametrize("override", ["objective.supervised_ramp=[0.1, 1.5]"])
def test_a_share_in_a_ramp_that_is_none_is_refused(override: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_config(None, [override])
    assert caught.value.field == "objective.supervised_ramp"


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        (["model.conditioning=cin"], "model.conditioning"),
        (["model.prior=geometric", "model.latent_dim=1"], "model.latent_dim"),
        (["model.channel_prior=learnable"], "objective.options.channel_kl"),
        (["objective.options.dirichlet=0.1"], "objective.options.dirichlet"),
        (
            ["objective.curriculum.start=4", "fit.epochs=8", "objective.curriculum.kick_epochs=4"],
            "objective.curriculum.kick_epochs",
        ),
    ],
)
def test_choices_that_contradict_each_other_are_refused_by_name(
    overrides: list[str], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_config(None, overrides)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.conditioning=cin", "model.decoder=conv"],
        ["model.prior=geometric", "model.latent_dim=2"],
        [
            "model.channel_prior=learnable",
            "objective.options.channel_kl=0.1",
            "objective.options.dirichlet=0.1",
        ],
        ["objective.curriculum.start=4", "fit.epochs=8", "objective.curriculum.kick_epochs=3"],
    ],
)
def test_choices_that_go_together_are_taken(overrides: list[str]) -> None:
    config = load_config(None, overrides)
    assert from_json(to_json(config)) == config
