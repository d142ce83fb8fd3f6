"""The safeguard against merged classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.tiny import tiny_config, tiny_dataset
from training.fit import fit
from training.restart import is_stuck, merged_labels, start_anew
from training.state import FitState, new_state

SHORT = ("fit.epochs=4", "fit.checkpoint_epochs=1", "fit.restart_at=0.5", "fit.restarts=2")


def test_a_label_without_a_channel_of_its_own_is_merged() -> None:
    counts = torch.tensor([[9.0, 5.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.5]])
    assert merged_labels(counts) == [1]
    assert merged_labels(torch.eye(4)) == []


@given(st.integers(0, 2**31), st.integers(2, 6))
def test_labels_are_merged_exactly_where_their_main_channel_is_anothers(seed: int, k: int) -> None:
    counts = np.random.default_rng(seed).gamma(0.3, size=(k, 4))
    expected = [y for y in range(4) if counts[counts[:, y].argmax()].argmax() != y]
    assert merged_labels(torch.from_numpy(counts)) == expected


def merged_state(*more: str) -> FitState:
    """A state after half of the epochs in which two labels share their only channel."""
    state = new_state(tiny_dataset(), tiny_config(*SHORT, *more))
    state.epoch = 2
    state.counts[0] = 1.0
    state.counts[0, 0] = 2.0
    return state


def test_it_is_looked_at_once_and_only_where_a_restart_is_left() -> None:
    config = tiny_config(*SHORT)
    state = merged_state()
    assert is_stuck(state, config)
    assert not is_stuck(merged_state(), tiny_config(*SHORT, "fit.restarts=0"))
    state.attempt = 2
    assert not is_stuck(state, config)
    state.attempt, state.epoch = 0, 3
    assert not is_stuck(state, config)
    state.epoch, state.counts = 2, torch.eye(30)[:, :9]
    assert not is_stuck(state, config)


def test_a_restart_has_other_weights_and_nothing_of_the_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, state = tiny_config(*SHORT), merged_state()
    first = new_state(tiny_dataset(), config)
    start_anew(state, tiny_dataset(), config)
    assert (state.epoch, state.history, state.attempt) == (0, [], 1)
    assert not state.counts.any()
    assert not state.optimizer.state
    weights = state.network.encoder.channel_head.weight
    assert not torch.equal(weights, first.network.encoder.channel_head.weight)
    again = new_state(tiny_dataset(), config, 1)
    assert torch.equal(weights, again.network.encoder.channel_head.weight)
    assert "have no channel of their own after 2 epochs: restart 1 of 2" in caplog.text


def test_a_merged_fit_starts_anew_and_a_resumed_one_ends_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So early in so short a fit labels do share channels: the first two attempts are given up."""
    config, path = tiny_config(*SHORT, "objective.usage=0"), tmp_path / "checkpoint"
    unbroken = fit(tiny_dataset(), config, quiet=True)
    assert unbroken.attempt > 0, "the case that this test is about"
    assert len(unbroken.history) == 4
    left = [3]  # one epoch into the second attempt

    def stop(_: FitState) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_dataset(), config, path, on_epoch=stop, quiet=True)
    resumed = fit(tiny_dataset(), config, path, quiet=True)
    assert resumed.attempt == unbroken.attempt
    assert resumed.history == unbroken.history


def test_a_fit_that_continues_another_never_starts_anew() -> None:
    config = tiny_config(*SHORT, "objective.usage=0")
    start = new_state(tiny_dataset(), config)
    assert fit(tiny_dataset(), config, start=start, quiet=True).attempt == 0
