"""Resumable checkpoints as safetensors: no pickle, written atomically."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rcmvae.errors import DataError
from training.state import EpochRecord, FitState

_NETWORK = "network/"
_OPTIMIZER = "optimizer/"
_COUNTS = "counts"
_USAGE = "usage"
_AVERAGE = "average/"


def write_checkpoint(path: Path, state: FitState) -> None:
    """Write everything that a resumed run needs; a kill leaves the old file or the new one."""
    tensors = {
        _COUNTS: state.counts,
        _USAGE: state.usage,
        **_network_tensors(state),
        **_average_tensors(state),
        **_optimizer_tensors(state),
    }
    history = json.dumps([asdict(record) for record in state.history])
    content = save(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        metadata={
            "epoch": str(state.epoch),
            "attempt": str(state.attempt),
            "history": history,
        },
    )
    replace_file(path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Put content in place of a file in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_checkpoint(path: Path, state: FitState) -> None:
    """Put the checkpoint's content into ``state``.

    Raises:
        DataError: the file is damaged or belongs to a network of another shape.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # A checkpoint of before it existed has none, and only a moving average needs it.
        tensors.setdefault(_USAGE, state.usage)
        history, attempt = _read_history(metadata), int(metadata.get("attempt", "0"))
        _require_shapes(state, tensors)
        _restore(state, tensors)
    except (SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path.name}: expected a checkpoint of this run, got {error}") from None
    state.epoch, state.history, state.attempt = len(history), history, attempt


def _read_history(metadata: dict[str, str]) -> list[EpochRecord]:
    epoch, history = int(metadata["epoch"]), json.loads(metadata["history"])
    if not isinstance(history, list) or len(history) != epoch:
        raise ValueError(f"expected {epoch} records of epochs, got another history")
    return [EpochRecord.from_json(record) for record in history]


def _require_shapes(state: FitState, tensors: dict[str, Tensor]) -> None:
    """Counts and moments; the network checks its own, but an optimiser takes anything."""
    expected = {_COUNTS: state.counts.shape, _USAGE: state.usage.shape}
    if any(name.startswith(_OPTIMIZER) for name in tensors):
        expected |= _moment_shapes(state)
    checked = (n for n in tensors if not n.startswith((_NETWORK, _AVERAGE)))
    actual = {n: tensors[n].shape for n in checked}
    odd = sorted(n for n in expected.keys() | actual if expected.get(n) != actual.get(n))
    if odd:
        raise ValueError(f"{odd[0]}: shape {expected.get(odd[0])}, not {actual.get(odd[0])}")


def _moment_shapes(state: FitState) -> dict[str, torch.Size]:
    """Names and shapes of AdamW's state once every parameter had a step."""
    parameters = enumerate(state.network.parameters())
    shapes = {f"{_OPTIMIZER}{index}": parameter.shape for index, parameter in parameters}
    of_parameter = {
        f"{name}/{moment}": shape
        for name, shape in shapes.items()
        for moment in ("exp_avg", "exp_avg_sq")
    }
    return of_parameter | {f"{name}/step": torch.Size() for name in shapes}


def _network_tensors(state: FitState) -> dict[str, Tensor]:
    return {_NETWORK + name: value for name, value in state.network.state_dict().items()}


def _average_tensors(state: FitState) -> dict[str, Tensor]:
    if state.average is None:
        return {}
    return {_AVERAGE + name: value for name, value in state.average.state_dict().items()}


def _optimizer_tensors(state: FitState) -> dict[str, Tensor]:
    per_parameter: dict[int, dict[str, Tensor]] = state.optimizer.state_dict()["state"]
    return {
        f"{_OPTIMIZER}{index}/{name}": torch.as_tensor(value)
        for index, values in per_parameter.items()
        for name, value in values.items()
    }


def _restore(state: FitState, tensors: dict[str, Tensor]) -> None:
    state.counts = tensors.pop(_COUNTS).to(state.counts.device)
    state.usage = tensors.pop(_USAGE).to(state.usage.device)
    state.network.load_state_dict(_part(tensors, _NETWORK))
    if state.average is not None:
        state.average.load_state_dict(_part(tensors, _AVERAGE))
    parameters = list(state.network.parameters())
    per_parameter: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMIZER):
            index, key = name.removeprefix(_OPTIMIZER).split("/")
            value = _laid_out(tensor, parameters[int(index)])
            per_parameter.setdefault(int(index), {})[key] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": per_parameter, "param_groups": groups})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """In the memory format of the parameter that it belongs to: two formats in a step are slow."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
