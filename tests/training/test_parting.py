"""The last safeguard: a channel that two labels share is parted."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training.test_restart import SHORT, merged_state
from tests.training.tiny import tiny_config, tiny_dataset
from training.fit import fit
from training.parting import MARGIN, is_to_part, part_labels
from training.restart import merged_labels
from training.state import FitState

LAST = (*SHORT, "fit.restarts=0")


def logits(state: FitState, label: int) -> Tensor:
    """Channel logits at the mean features of a label's examples, (K,)."""
    labelled = tiny_dataset().labelled
    x = torch.from_numpy(labelled.x[labelled.y == label])
    with torch.no_grad():
        features = state.network.look(x)[0].mean(dim=0)
        found: Tensor = state.network.encoder.channel_head(features)
        return found


def parted_state() -> FitState:
    """Labels share channel 0, of which label 0 has most; label 1 alone shall leave it."""
    state = merged_state(*LAST)
    state.counts[1:9, 2:] = 3.0 * torch.eye(8)[:, : state.counts.shape[1] - 2]
    state.usage = torch.linspace(1.0, 0.1, len(state.usage))
    return state


def test_it_is_time_where_no_restart_is_left() -> None:
    config = tiny_config(*LAST)
    assert is_to_part(merged_state(*LAST), config)
    assert not is_to_part(merged_state(), tiny_config(*SHORT))
    late = merged_state(*LAST)
    late.epoch = 3
    assert not is_to_part(late, config)


def test_the_least_used_channel_tells_the_labels_apart() -> None:
    state = parted_state()
    assert merged_labels(state.counts) == [1]
    free, shared = len(state.usage) - 1, 0
    kept = logits(state, 0)[:free], logits(state, 1)[:free]
    mass = state.counts.sum(dim=0)
    part_labels(state, tiny_dataset())
    assert merged_labels(state.counts) == []
    torch.testing.assert_close(state.counts.sum(dim=0), mass)
    assert int(state.counts[:, 1].argmax()) == free
    torch.testing.assert_close(state.usage[free], state.usage[shared])
    for label, sign, before in ((0, -1.0, kept[0]), (1, 1.0, kept[1])):
        after = logits(state, label)
        torch.testing.assert_close(after[:free], before)
        difference = after[free] - after[shared]
        torch.testing.assert_close(difference, torch.tensor(sign * MARGIN), rtol=1e-3, atol=1e-3)


def test_the_new_channel_encodes_and_decodes_as_the_shared_one() -> None:
    state = parted_state()
    part_labels(state, tiny_dataset())
    x = torch.from_numpy(tiny_dataset().labelled.x[:4])
    with torch.no_grad():
        for network in (state.network, state.served):
            encoding = network.encode(x)
            torch.testing.assert_close(encoding.mu[:, -1], encoding.mu[:, 0])
            torch.testing.assert_close(encoding.logvar[:, -1], encoding.logvar[:, 0])
            z, first = encoding.mu[:, 0], torch.zeros(4, dtype=torch.int64)
            last = first + len(state.usage) - 1
            torch.testing.assert_close(network.decode(z, last)[0], network.decode(z, first)[0])


def test_without_a_free_channel_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    state = parted_state()
    state.counts, state.usage = state.counts[:2], state.usage[:2]
    before = state.counts.clone()
    part_labels(state, tiny_dataset())
    assert torch.equal(state.counts, before)
    assert "none is free" in caplog.text


def test_a_fit_parts_and_a_resumed_one_ends_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, path = tiny_config(*LAST, "objective.usage=0"), tmp_path / "checkpoint"
    unbroken = fit(tiny_dataset(), config, quiet=True)
    assert "in every start" in caplog.text, "the case that this test is about"

    def stop(state: FitState) -> None:
        if state.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_dataset(), config, path, on_epoch=stop, quiet=True)
    resumed = fit(tiny_dataset(), config, path, quiet=True)
    assert resumed.history == unbroken.history
    for name, weights in unbroken.network.state_dict().items():
        assert torch.equal(weights, resumed.network.state_dict()[name]), name
