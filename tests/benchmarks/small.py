"""A split of scikit-learn's digits that a benchmark gets through in seconds."""

from dataclasses import replace
from functools import cache

import numpy as np
from pydantic import JsonValue

from benchmarks.result import Figure, Result
from training.config import RunConfig
from training.config_file import load_config
from training.data import Dataset, Examples, load_dataset
from training.recipe import settled

SETTINGS = (
    "data.limit=500",
    "model.filters=8",
    "model.features=64",
    "model.latent_dim=3",
    "model.decoder_hidden=32",
    "fit.epochs=3",
    "fit.restarts=0",
    "fit.batch=64",
    "fit.labelled_batch=32",
    "calibration.count_views=2",
)


def small_config(*more: str) -> RunConfig:
    return settled(_given(*more), small_dataset(*more))


@cache
def small_dataset(*more: str) -> Dataset:
    given = _given(*more)
    return load_dataset(given.data, given.seed)


def _given(*more: str) -> RunConfig:
    return load_config(None, (*SETTINGS, "fit.threads=1", *more))


def flags(settings: tuple[str, ...] = SETTINGS) -> list[str]:
    """The settings as a command line has them."""
    return [part for setting in settings for part in ("--set", setting)]


def without_held_out(dataset: Dataset) -> Dataset:
    """The same split with NaN where only calibration may look."""
    nothing = Examples(np.full_like(dataset.test.x[:3], np.nan), np.zeros(3, dtype=np.int64))
    return replace(dataset, density=nothing, calibration=nothing)


def small_result(seeds: tuple[int, ...], accuracies: tuple[float, ...]) -> Result:
    figure = Figure(0.0, 0.0, accuracies)
    config: dict[str, JsonValue] = {"run": {"fit": {"epochs": 3, "threads": 1}}, "peers": {}}
    return Result("abc1234", f"run {seeds}", seeds, config, {"accuracy": figure})
