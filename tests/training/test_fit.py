"""The training loop: it learns, resumes where it was stopped, and is loud about nonsense."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from rcmvae.errors import DataError, Diverged
from tests.training.tiny import SETTINGS, TinyRun, set_flags, tiny_config, tiny_dataset
from training.batch import update_counts
from training.checkpoint import write_checkpoint
from training.config import RunConfig
from training.data import Dataset, Examples
from training.fit import fit, is_due, one_cycle
from training.state import FitState, new_state
from training.threads import free_cores, thread_count

ROOT = Path(__file__).parents[2]
SHORT = tiny_config("fit.epochs=4", "fit.checkpoint_epochs=1")


def assert_same(first: FitState, second: FitState) -> None:
    mine, theirs = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert torch.equal(first.counts, second.counts)
    assert first.history == second.history


def stop_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop be interrupted after so many checkpoints, as by Ctrl-C."""
    left = [epochs]

    def write(path: Path, state: FitState) -> None:
        write_checkpoint(path, state)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr("training.fit.write_checkpoint", write)


def test_the_tiny_run_learned(tiny: TinyRun) -> None:
    metrics = tiny.bundle.manifest.metrics
    assert metrics["golden_accuracy"] > 0.85


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_stopped_run_continues_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_after: int
) -> None:
    unbroken = fit(tiny_dataset(), SHORT, quiet=True)
    checkpoint = tmp_path / "checkpoint"
    with monkeypatch.context() as patch:
        stop_after(stopped_after, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny_dataset(), SHORT, checkpoint, quiet=True)
    torch.manual_seed(12345)  # whatever came in between has no say
    continued = fit(tiny_dataset(), SHORT, checkpoint, quiet=True)
    assert_same(continued, unbroken)
    assert [record.epoch for record in continued.history] == [0, 1, 2, 3]


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    first = fit(tiny_dataset(), SHORT, checkpoint, quiet=True)
    before = checkpoint.read_bytes()
    assert_same(fit(tiny_dataset(), SHORT, checkpoint, quiet=True), first)
    assert checkpoint.read_bytes() == before


def test_weights_depend_on_the_seed_alone() -> None:
    config = tiny_config("fit.epochs=1")
    first, again = (fit(tiny_dataset(), config, quiet=True) for _ in range(2))
    assert_same(first, again)
    other = fit(tiny_dataset(), replace(config, seed=1), quiet=True)
    assert not torch.equal(
        first.network.encoder.channel_head.weight, other.network.encoder.channel_head.weight
    )


def with_nan(dataset: Dataset) -> Dataset:
    x = dataset.unlabelled.copy()
    x[7, 0, 3, 3] = np.nan
    return replace(dataset, unlabelled=x)


def test_a_nan_in_the_data_stops_the_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Diverged, match=r"epoch 0\.\d+: expected a finite loss, got .*nan"):
        fit(with_nan(tiny_dataset()), SHORT, checkpoint, quiet=True)
    assert not checkpoint.exists()


def test_an_absurd_learning_rate_stops_the_run(tmp_path: Path) -> None:
    config = tiny_config("fit.peak_lr=1e30", "fit.epochs=6", "fit.checkpoint_epochs=1")
    with pytest.raises(Diverged, match=r"lower fit\.peak_lr"):
        fit(tiny_dataset(), config, tmp_path / "checkpoint", quiet=True)


def test_a_damaged_checkpoint_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="expected a checkpoint of this run"):
        fit(tiny_dataset(), SHORT, tmp_path / "checkpoint", quiet=True)


def test_neither_calibration_nor_test_inputs_are_touched() -> None:
    dataset = tiny_dataset()
    poison = Examples(np.full_like(dataset.test.x[:3], np.nan), np.zeros(3, dtype=np.int64))
    blind = replace(dataset, density=poison, calibration=poison, test=poison)
    config = tiny_config("fit.epochs=1")
    assert_same(fit(blind, config, quiet=True), fit(dataset, config, quiet=True))


def test_progress_goes_to_stderr_unless_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    config = tiny_config("fit.epochs=1")
    fit(tiny_dataset(), config, quiet=True)
    assert capfd.readouterr() == ("", "")
    fit(tiny_dataset(), config)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "fit: 100%" in shown.err
    assert "loss=" in shown.err


@given(progress=st.floats(0, 1), peak=st.floats(1e-6, 1.0))
def test_one_cycle_is_positive_and_never_above_its_peak(progress: float, peak: float) -> None:
    assert 0.0 < one_cycle(progress, peak) <= peak * 1.001 + 1e-15


def test_one_cycle_rises_from_a_25th_then_falls_to_a_thousandth() -> None:
    rates = [one_cycle(p, 1.0) for p in np.linspace(0, 1, 401)]
    top = int(np.argmax(rates))
    assert top == 100
    assert rates[0] == pytest.approx(0.04)
    assert rates[-1] == pytest.approx(1e-3)
    assert all(np.diff(rates[: top + 1]) > 0)
    assert all(np.diff(rates[top:]) < 0)
    assert np.abs(np.diff(rates)).max() < 0.02, "no jump"


def test_a_held_rate_stays_at_its_peak_and_falls_as_far() -> None:
    rates = np.array([one_cycle(p, 1.0, hold=0.75) for p in np.linspace(0, 1, 401)])
    assert rates[100:301] == pytest.approx(1.0, abs=2e-3)
    assert rates[-1] == pytest.approx(1e-3)
    assert all(np.diff(rates[301:]) < 0)
    assert np.abs(np.diff(rates)).max() < 0.02, "no jump"
    early = [one_cycle(p, 1.0, hold=0.1) for p in np.linspace(0, 1, 41)]
    assert early == [one_cycle(p, 1.0) for p in np.linspace(0, 1, 41)]


def test_counts_decay_and_stand_in_units_of_labelled_examples() -> None:
    config: RunConfig = tiny_config()
    state = new_state(tiny_dataset(), config)
    owned = torch.zeros(2, 30)
    owned[0, 4] = owned[1, 5] = 1.0
    label = torch.tensor([3, 3])
    scaled = update_counts(state, owned, label, config)
    assert scaled.sum().item() == pytest.approx(45.0)
    assert scaled[4, 3].item() == scaled[5, 3].item() == pytest.approx(22.5)
    update_counts(state, owned, label, config)
    assert state.counts[4, 3].item() == pytest.approx(1.98)


def test_threads_follow_the_free_cores_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for load, expected in ((0.2, 8), (2.6, 5), (7.9, 1), (99.0, 1)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert (free_cores(), thread_count(0), thread_count(3)) == (expected, expected, 3)


def test_a_checkpoint_is_due_in_turn_at_the_end_and_when_the_last_is_old() -> None:
    config = tiny_config("fit.epochs=10", "fit.checkpoint_epochs=4", "fit.checkpoint_seconds=5")
    assert [epoch for epoch in range(10) if is_due(epoch, 4.9, config)] == [3, 7, 9]
    assert all(is_due(epoch, 5.0, config) for epoch in range(10))


def test_when_checkpoints_are_written_has_no_say_in_the_result(tmp_path: Path) -> None:
    always = tiny_config("fit.epochs=2", "fit.checkpoint_seconds=0")
    rarely = tiny_config("fit.epochs=2", "fit.checkpoint_epochs=2")
    assert_same(
        fit(tiny_dataset(), always, tmp_path / "a", quiet=True),
        fit(tiny_dataset(), rarely, tmp_path / "b", quiet=True),
    )


@pytest.mark.slow
@pytest.mark.e2e
def test_a_killed_process_continues_to_the_same_weights(tmp_path: Path) -> None:
    """Bit by bit, with one thread on one machine, whenever it was killed."""
    run = tmp_path / "run"
    short = ("fit.epochs=30", "fit.checkpoint_epochs=2")
    flags = set_flags([*SETTINGS, *short])
    command = [sys.executable, "-m", "training", "train", str(run), *flags]
    checkpoint = run / "checkpoint.safetensors"
    delay = random.uniform(0.0, 0.4)
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not checkpoint.exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert first.returncode == -signal.SIGKILL, "it was killed on its way"
    assert checkpoint.exists()
    assert not (run / "history.json").exists()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    fit(tiny_dataset(), tiny_config(*short), tmp_path / "unbroken", quiet=True)
    continued, unbroken = load_file(checkpoint), load_file(tmp_path / "unbroken")
    assert continued.keys() == unbroken.keys()
    differing = [n for n, tensor in unbroken.items() if not torch.equal(continued[n], tensor)]
    assert differing == [], f"killed {delay:.3f} s after the first checkpoint"
