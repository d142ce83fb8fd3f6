"""Reading and writing a run's folder."""

import json
from dataclasses import asdict
from pathlib import Path

from rcmvae.bundle import write_tensors
from rcmvae.errors import DataError, InvalidInput
from training.checkpoint import read_checkpoint, replace_file
from training.config import RunConfig, from_json, to_json
from training.data import Dataset, load_dataset
from training.recipe import filled
from training.run import RunFolder
from training.state import EpochRecord, FitState, new_state


def open_run(path: Path, config: RunConfig) -> RunFolder:
    """Make the folder, or continue one of the same configuration.

    Raises:
        InvalidInput: the folder holds a run of another configuration.
    """
    run = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    if run.config.is_file() and read_config(run) != config:
        raise InvalidInput("run", "the configuration the folder holds", "another one")
    replace_file(run.config, json.dumps(to_json(config), indent=2).encode())
    return run


def resumed(run: RunFolder, config: RunConfig) -> RunConfig:
    """The configuration with every ``auto`` as the folder's run has it; as given for a new run.

    A run that goes on never decides anew, not even by a later version's recipes.
    """
    return filled(config, read_config(run)) if run.config.is_file() else config


def read_config(run: RunFolder) -> RunConfig:
    """The configuration of a run.

    Raises:
        DataError: the folder holds no run.
        InvalidInput: the configuration is not one of this version.
    """
    try:
        return from_json(json.loads(run.config.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{run.path.name}: expected a run, got {error}") from None


def record_split(run: RunFolder, dataset: Dataset) -> None:
    """Write the indices of the split and the digest of the source."""
    arrays = {name: getattr(dataset.split, name) for name in dataset.split.__slots__}
    replace_file(run.split, write_tensors(arrays, {"source_sha256": dataset.sha256}))


def record_history(run: RunFolder, state: FitState) -> None:
    """Write one record per epoch."""
    records = [asdict(record) for record in state.history]
    replace_file(run.history, json.dumps(records, indent=1).encode())


def read_history(run: RunFolder) -> list[EpochRecord]:
    """One record per epoch of a finished run.

    Raises:
        DataError: the folder holds no finished run.
    """
    try:
        records = json.loads(run.history.read_text(encoding="utf-8"))
        return [EpochRecord.from_json(record) for record in records]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{run.path.name}: expected the history of a run, got {error}") from None


def read_run(run: RunFolder) -> tuple[RunConfig, Dataset, FitState]:
    """The configuration, the data and the fitted state of a finished run.

    Raises:
        DataError: the run is missing, unfinished or damaged.
    """
    config = read_config(run)
    dataset = load_dataset(config.data, config.seed)
    state = new_state(dataset, config)
    if not run.checkpoint.is_file():
        raise DataError(f"{run.path.name}: expected a checkpoint; run `train` first")
    read_checkpoint(run.checkpoint, state)
    if state.epoch < config.fit.epochs:
        raise DataError(
            f"{run.path.name}: expected {config.fit.epochs} epochs, got {state.epoch}; "
            "run `train` again, it continues"
        )
    return config, dataset, state
