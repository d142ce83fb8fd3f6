"""What a fit computes on: chosen by what is there, and without a trace afterwards."""

from functools import partial

import pytest
import torch

from rcmvae.errors import InvalidInput
from tests.training.tiny import tiny_config, tiny_dataset
from training import machine as machine_module
from training.config import FitConfig
from training.config_file import load_config
from training.fit import fit
from training.machine import Machine, has_fast_bfloat16, machine_for, set_up
from training.model.network import RcmVae
from training.state import new_state

CPU = torch.device("cpu")


def tiny_network() -> RcmVae:
    return new_state(tiny_dataset(), tiny_config()).network


def pretend(monkeypatch: pytest.MonkeyPatch, *, devices: int, bfloat16: bool) -> None:
    """A machine with so many CUDA devices; nothing is computed on them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(machine_module, "has_fast_bfloat16", lambda _: bfloat16)


def test_auto_takes_cuda_and_what_it_is_good_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, devices=1, bfloat16=True)
    assert machine_for(FitConfig()) == Machine(torch.device("cuda", 0), True, True)
    given = FitConfig(device="cpu", precision="float32", compile=True)
    assert machine_for(given) == Machine(CPU, False, True)
    assert machine_for(FitConfig(compile=False)).compiled is False


def test_auto_on_a_plain_cpu_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, devices=0, bfloat16=False)
    assert machine_for(FitConfig()) == Machine(CPU, False, False)
    assert machine_for(FitConfig(precision="bfloat16")) == Machine(CPU, True, False)


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, devices=0, bfloat16=False)
    with pytest.raises(InvalidInput, match=r"fit\.device: .*0 CUDA devices for 1 ranks.*'cuda'"):
        fit(tiny_dataset(), tiny_config("fit.device=cuda"), quiet=True)


def test_more_ranks_than_devices_share_the_cpu_or_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, devices=2, bfloat16=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine_for(FitConfig()).device == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert machine_for(FitConfig()).device == CPU
    with pytest.raises(InvalidInput, match="2 CUDA devices for 3 ranks"):
        machine_for(FitConfig(device="cuda"))


def test_bfloat16_is_asked_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for vectors, tiles in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda found=vectors: found)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda found=tiles: found)
        assert has_fast_bfloat16(CPU) is (vectors or tiles)


def test_in_bfloat16_the_large_parts_round_and_the_rest_does_not() -> None:
    network, x = tiny_network(), torch.rand(6, 1, 8, 8)
    plain = network.encode(x)
    with set_up(network, Machine(CPU, bfloat16=True, compiled=False)):
        reduced = network.encode(x)
        decoded = network.decode(torch.zeros(6, 3), torch.arange(6)).logits
    assert {part.dtype for part in (*reduced, decoded)} == {torch.float32}
    torch.testing.assert_close(reduced.logits, plain.logits, atol=0.05, rtol=0.05)
    assert not torch.equal(reduced.features, plain.features)
    assert torch.equal(reduced.features, reduced.features.bfloat16().float())
    assert not torch.equal(reduced.logits, reduced.logits.bfloat16().float()), "the heads are not"


def test_nothing_of_it_stays_after_the_block() -> None:
    network, x = tiny_network(), torch.rand(6, 1, 8, 8)
    names, plain = list(network.state_dict()), network.encode(x)
    with set_up(network, Machine(CPU, bfloat16=True, compiled=False)):
        assert list(network.state_dict()) == names
        assert not torch.equal(network.encode(x).logits, plain.logits)
    assert torch.equal(network.encode(x).logits, plain.logits)


def test_compiled_parts_give_what_plain_ones_give(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tracer is real; generating and building C++ would take half a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    network, x = tiny_network(), torch.rand(6, 1, 8, 8)
    plain = network.encode(x)
    with set_up(network, Machine(CPU, bfloat16=False, compiled=True)):
        assert torch.equal(network.encode(x).logits, plain.logits)
        assert "forward" in vars(network.encoder.trunk)
    assert "forward" not in vars(network.encoder.trunk)


def test_a_fit_in_bfloat16_learns_and_keeps_float32_weights() -> None:
    config = tiny_config("fit.epochs=3", "fit.precision=bfloat16")
    state = fit(tiny_dataset(), config, quiet=True)
    assert {tensor.dtype for tensor in state.network.state_dict().values()} == {torch.float32}
    plain = fit(tiny_dataset(), tiny_config("fit.epochs=3", "fit.precision=float32"), quiet=True)
    found, expected = state.history[-1], plain.history[-1]
    assert found.reconstruction == pytest.approx(expected.reconstruction, rel=0.02)
    assert found.reconstruction != expected.reconstruction


def test_the_machine_stays_open_in_a_settled_configuration() -> None:
    assert tiny_config().fit.device == "auto"
    assert load_config(None, ["fit.compile=true"]).fit.compile is True
    with pytest.raises(InvalidInput, match=r"fit\.compile"):
        load_config(None, ["fit.compile=maybe"])
