"""Checkpoints: complete, without pickle, and refused when damaged."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rcmvae.errors import DataError
from tests.training.tiny import tiny_config, tiny_dataset
from training.checkpoint import read_checkpoint, replace_file, write_checkpoint
from training.fit import fit
from training.state import EpochRecord, FitState, new_state

CONFIG = tiny_config("fit.epochs=2")


def fresh() -> FitState:
    return new_state(tiny_dataset(), CONFIG)


@pytest.fixture(scope="module")
def state() -> FitState:
    return fit(tiny_dataset(), CONFIG, quiet=True)


@pytest.fixture
def path(tmp_path: Path, state: FitState) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, state)
    return path


def moments(state: FitState) -> dict[str, Tensor]:
    return {
        f"{index}/{name}": value
        for index, values in state.optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def test_round_trip_restores_everything(path: Path, state: FitState) -> None:
    restored = fresh()
    read_checkpoint(path, restored)
    assert (restored.epoch, restored.history) == (2, state.history)
    assert torch.equal(restored.counts, state.counts)
    for mine, theirs in (
        (restored.network.state_dict(), state.network.state_dict()),
        (moments(restored), moments(state)),
    ):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_state_before_the_first_step_round_trips(tmp_path: Path) -> None:
    first, second = fresh(), fresh()
    write_checkpoint(tmp_path / "c", first)
    read_checkpoint(tmp_path / "c", second)
    assert (second.epoch, second.history) == (0, [])


def test_it_is_safetensors_with_json_and_no_pickle(path: Path, state: FitState) -> None:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    kept = [EpochRecord.from_json(record) for record in json.loads(metadata["history"])]
    assert kept == state.history
    assert b"torch" not in content[: 8 + size]
    assert load_file(path).keys() >= {"counts"}


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_a_cut_file_is_refused(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: expected a checkpoint"):
        read_checkpoint(path, fresh())


def test_noise_is_refused(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x95" * 99)
    with pytest.raises(DataError, match="expected a checkpoint"):
        read_checkpoint(path, fresh())


@pytest.mark.parametrize(
    "damage",
    [
        {"counts": None},
        {"counts": torch.zeros(2, 3)},
        {"network/decoder.out.bias": None},
        {"network/decoder.out.bias": torch.zeros(3)},
        {"network/more": torch.zeros(3)},
        {"optimizer/0/exp_avg": torch.zeros(3)},
        {"optimizer/0/exp_avg": None},
        {"optimizer/zero/step": torch.zeros(())},
        {"optimizer/999/step": torch.zeros(())},
    ],
    ids=lambda damage: " ".join(f"{n} {'gone' if t is None else 'odd'}" for n, t in damage.items()),
)
def test_tensors_that_do_not_fit_are_refused(
    path: Path, state: FitState, damage: dict[str, Tensor | None]
) -> None:
    tensors = load_file(path) | damage
    history = json.dumps([asdict(record) for record in state.history])
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None},
        path,
        metadata={"epoch": "2", "history": history},
    )
    with pytest.raises(DataError, match="expected a checkpoint"):
        read_checkpoint(path, fresh())


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"epoch": "2"},
        {"epoch": "two", "history": "[]"},
        {"epoch": "2", "history": "["},
        {"epoch": "2", "history": "{}"},
        {"epoch": "2", "history": '[{"epoch": 0}]'},
        {"epoch": "2", "history": "[]"},
        {"epoch": "2", "history": "[1, 2]"},
        {"epoch": "1", "history": '[{"usage": 1}]'},
        {"epoch": "1", "history": '[{"usage": ["x"]}]'},
        {"epoch": "-1", "history": "[]"},
    ],
    ids=str,
)
def test_metadata_that_does_not_fit_is_refused(path: Path, metadata: dict[str, str] | None) -> None:
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(DataError, match="expected a checkpoint"):
        read_checkpoint(path, fresh())


def test_a_checkpoint_of_another_network_is_refused(path: Path) -> None:
    other = new_state(tiny_dataset(), tiny_config("model.features=16"))
    with pytest.raises(DataError, match="expected a checkpoint"):
        read_checkpoint(path, other)


def test_replace_file_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
