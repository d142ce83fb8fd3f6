"""The moving average of the weights: against the recursion written out, and where it is used."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import WEIGHTS
from rcmvae.errors import DataError
from tests.training.tiny import corrections, tiny_config, tiny_dataset
from training.averaging import average_of, decay_at
from training.batch import Batch, see
from training.checkpoint import read_checkpoint, write_checkpoint
from training.fit import fit, tensors_of
from training.refit import prepare
from training.restart import start_anew
from training.state import FitState, new_state

HEAD = "encoder.channel_head.weight"
AVERAGED = ("fit.epochs=2", "fit.average=0.9")


def averaged_state() -> FitState:
    return new_state(tiny_dataset(), tiny_config(*AVERAGED))


def move_weights(state: FitState, by: float) -> None:
    with torch.no_grad():
        for parameter in state.network.parameters():
            parameter.add_(by)


def weight(state: FitState) -> float:
    return float(state.network.encoder.channel_head.weight[0, 0].detach())


def served_weight(state: FitState) -> float:
    return float(state.served.encoder.channel_head.weight[0, 0].detach())


@settings(deadline=None)  # the first example loads the data
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=15), st.floats(0.0, 0.99))
def test_it_follows_the_recursion_written_out(moves: list[float], decay: float) -> None:
    state = new_state(tiny_dataset(), tiny_config())
    average = average_of(state.network, decay)
    state.average = average
    expected = 0.0
    for steps, move in enumerate(moves):
        move_weights(state, move)
        average.update_parameters(state.network)
        kept = min(decay, (1 + steps) / (10 + steps)) if steps else 0.0
        expected = kept * expected + (1 - kept) * weight(state)
    assert served_weight(state) == pytest.approx(expected, abs=1e-5)


def test_the_decay_rises_to_its_value_and_stays() -> None:
    decays = [decay_at(steps, 0.99) for steps in range(2000)]
    assert decays == sorted(decays)
    assert decays[0] == pytest.approx(0.1)
    assert decays[-1] == 0.99


def test_without_an_average_the_network_itself_is_served() -> None:
    state = new_state(tiny_dataset(), tiny_config("fit.average=0"))
    assert state.average is None
    assert state.served is state.network


def test_targets_come_from_the_average() -> None:
    config = tiny_config(*AVERAGED, "objective.second_view=target", "augment.target=0")
    dataset, state = tiny_dataset(), averaged_state()
    before = state.network.encode(torch.from_numpy(dataset.unlabelled[:8])).logits.softmax(dim=1)
    move_weights(state, 0.05)
    tensors = tensors_of(dataset, torch.device("cpu"))
    seen = see(state, Batch(tensors.unlabelled[:8], tensors, 0.5), config)
    torch.testing.assert_close(seen.r_second, before, atol=1e-5, rtol=0)


def test_a_fit_moves_the_average_away_from_its_weights() -> None:
    state = fit(tiny_dataset(), tiny_config(*AVERAGED), quiet=True)
    assert served_weight(state) != weight(state)
    assert served_weight(state) == pytest.approx(weight(state), abs=0.05)
    assert not any(p.requires_grad for p in state.served.parameters())


def test_a_checkpoint_holds_it(tmp_path: Path) -> None:
    state, restored = fit(tiny_dataset(), tiny_config(*AVERAGED), quiet=True), averaged_state()
    write_checkpoint(tmp_path / "c", state)
    read_checkpoint(tmp_path / "c", restored)
    assert state.average is not None
    assert restored.average is not None
    mine, theirs = restored.average.state_dict(), state.average.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_checkpoint_without_it_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", averaged_state())
    tensors = {n: t for n, t in load_file(tmp_path / "c").items() if not n.startswith("average/")}
    save_file(tensors, tmp_path / "c", {"epoch": "0", "attempt": "0", "history": "[]"})
    with pytest.raises(DataError, match="expected a checkpoint of this run"):
        read_checkpoint(tmp_path / "c", averaged_state())


def test_a_stopped_run_continues_to_the_same_average(tmp_path: Path) -> None:
    config, checkpoint = tiny_config(*AVERAGED), tmp_path / "checkpoint"
    unbroken = fit(tiny_dataset(), config, quiet=True)

    def stop(state: FitState) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            tiny_dataset(),
            tiny_config(*AVERAGED, "fit.checkpoint_epochs=1"),
            checkpoint,
            on_epoch=stop,
            quiet=True,
        )
    assert checkpoint.is_file()
    continued = fit(tiny_dataset(), config, checkpoint, quiet=True)
    assert served_weight(continued) == served_weight(unbroken)


def test_a_restart_begins_a_new_average() -> None:
    state, config = averaged_state(), tiny_config(*AVERAGED)
    move_weights(state, 0.3)
    assert state.average is not None
    state.average.update_parameters(state.network)
    start_anew(state, tiny_dataset(), config)
    assert served_weight(state) == weight(state)
    assert int(state.average.n_averaged) == 0


def test_a_refit_begins_it_at_the_weights_of_the_parent(bundle: Bundle) -> None:
    manifest = bundle.manifest
    fitted = manifest.configuration["fit"]
    assert isinstance(fitted, dict)
    averaged = {**manifest.configuration, "fit": {**fitted, "average": 0.9}}
    parent = replace(bundle, manifest=manifest.model_copy(update={"configuration": averaged}))
    start = prepare(parent, corrections(9, 4)).state
    assert start.average is not None
    assert served_weight(start) == weight(start) == bundle.arrays(WEIGHTS)[HEAD][0, 0]
