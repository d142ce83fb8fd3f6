"""Several ranks: real processes started by torchrun, and what one rank alone must not notice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rcmvae.errors import InvalidInput
from tests.training.tiny import SETTINGS, set_flags, tiny_config, tiny_dataset
from tests.training.two_ranks import SHORT, loss_of, views
from training import ranks
from training.config import RunConfig
from training.fit import fit
from training.model.network import RcmVae
from training.objective import posterior_mean
from training.state import new_state
from training.threads import thread_count

ROOT = Path(__file__).parents[2]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
OWN = {"gradient", "numbers", "counts", "usage", "losses"}


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", *TORCHRUN, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """What each of two ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    finish(start("tests.training.two_ranks", str(folder)))
    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Tensor]:
    """Weights and counts of the same fit in one process."""
    state = fit(tiny_dataset(), tiny_config(*SHORT), quiet=True)
    return {**state.network.state_dict(), "counts": state.counts}


def share_right(tensors: dict[str, Tensor], config: RunConfig) -> float:
    """Test accuracy by the counts of the fit, over the digits that have labels."""
    dataset = tiny_dataset()
    network = RcmVae(dataset.shape, config.model, config.model.num_channels)
    network.load_state_dict({n: t for n, t in tensors.items() if n not in OWN})
    tau = posterior_mean(tensors["counts"], config.objective.fit_alpha0)
    with torch.no_grad():
        r = network.encode(torch.from_numpy(dataset.test.x)).logits.softmax(dim=1)
    known = dataset.test.y < len(dataset.labels)
    return float(((r @ tau).argmax(dim=1).numpy() == dataset.test.y)[known].mean())


@pytest.mark.slow
@pytest.mark.e2e
def test_two_ranks_end_with_the_same_state(found: list[dict[str, Tensor]]) -> None:
    first, second = found
    assert first.keys() == second.keys()
    assert [n for n in first if not torch.equal(first[n], second[n])] == ["numbers"]
    assert first["numbers"][0] == second["numbers"][0]
    assert first["numbers"][1] != second["numbers"][1]


@pytest.mark.slow
@pytest.mark.e2e
def test_the_gradient_is_that_of_the_whole_batch(found: list[dict[str, Tensor]]) -> None:
    weight = torch.nn.Parameter(torch.eye(5))
    loss_of(weight, *views()).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found[0]["gradient"], weight.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.e2e
def test_two_ranks_learn_what_one_learns(
    found: list[dict[str, Tensor]], alone: dict[str, Tensor]
) -> None:
    config = tiny_config(*SHORT)
    one, two = share_right(alone, config), share_right(found[0], config)
    assert one > 0.5
    assert two == pytest.approx(one, abs=0.15)
    mass = alone["counts"].sum().item()
    assert found[0]["counts"].sum().item() == pytest.approx(mass, rel=1e-4), "of both shares"
    assert found[0]["usage"].sum().item() == pytest.approx(1.0, abs=1e-5)


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


@pytest.mark.slow
@pytest.mark.e2e
def test_a_killed_rank_ends_the_run_and_torchrun_continues_it(
    tmp_path: Path, found: list[dict[str, Tensor]]
) -> None:
    run = tmp_path / "run"
    command = ("training", "train", str(run), *set_flags([*SETTINGS, *SHORT]))
    first = start(*command)
    try:
        wait_for(run / "checkpoint.safetensors", first)
        os.kill(children(first.pid)[-1], signal.SIGKILL)
        first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode not in (0, -signal.SIGKILL), "it ended by itself, and says so"
    assert not (run / "history.json").exists()
    again = start(*command)
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert out.count("trained 30 epochs") == 1, "one rank talks"
    assert err.count("fit: 100%") == 1, "and shows its progress"
    checkpoint = load_file(run / "checkpoint.safetensors")
    for name, tensor in found[0].items():
        if name not in OWN:
            assert torch.equal(checkpoint[f"network/{name}"], tensor), name
    assert torch.equal(checkpoint["counts"], found[0]["counts"])


def test_one_rank_keeps_everything_and_draws_as_before() -> None:
    batch = torch.arange(7)
    assert (ranks.rank_count(), ranks.rank(), ranks.local_count()) == (1, 0, 1)
    assert ranks.is_first()
    for same in (ranks.own_part(batch), ranks.gathered(batch), ranks.averaged(batch)):
        assert torch.equal(same, batch)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    ranks.draw_apart()
    assert torch.equal(torch.rand(3), expected)


def test_ranks_that_cannot_share_a_batch_evenly_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranks, "rank_count", lambda: 3)
    with pytest.raises(InvalidInput, match=r"fit\.batch: expected a multiple of the 3 ranks"):
        fit(tiny_dataset(), tiny_config(), quiet=True)


def test_ranks_of_one_machine_share_its_free_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    found = []
    for count in ("1", "3", "16"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", count)
        found.append((thread_count(0), thread_count(5)))
    assert found == [(8, 5), (2, 5), (1, 5)]


def test_states_that_differ_have_another_digest() -> None:
    from training.fit import digest

    state = new_state(tiny_dataset(), tiny_config())
    before = digest(state).numpy()
    state.epoch = 1
    assert not np.array_equal(digest(state).numpy(), before)
