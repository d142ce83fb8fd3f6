"""The channel curriculum: when channels open, and that all of them are open in time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.curriculum import CLOSED, logit_bias, opening_epochs
from training.objective_config import CurriculumConfig

CONFIG = CurriculumConfig(start=2, step=2, patience=2, tolerance=0.1, kick=3.0, kick_epochs=3)
FALLING = [0.8**n for n in range(10)]


def test_nothing_opens_while_the_loss_falls() -> None:
    assert opening_epochs(FALLING, 6, 100, CONFIG) == [0, 0]


def test_channels_open_when_the_loss_stalls() -> None:
    # Epochs 1 and 2 fall; 3 and 4 do not, so two channels open for epoch 4; then 5 and 6.
    losses = [1.0, 0.5, 0.49, 0.48]
    assert opening_epochs(losses[:3], 6, 100, CONFIG) == [0, 0]
    assert opening_epochs(losses, 6, 100, CONFIG) == [0, 0, 4, 4]
    assert opening_epochs([*losses, 0.48, 0.48], 6, 100, CONFIG) == [0, 0, 4, 4, 6, 6]
    assert opening_epochs([*losses, 0.3, 0.3], 6, 100, CONFIG) == [0, 0, 4, 4]


def test_a_negative_loss_stalls_and_falls_like_any_other() -> None:
    assert opening_epochs([-1.0, -1.05, -1.08], 4, 100, CONFIG) == [0, 0, 3, 3]
    assert opening_epochs([-1.0, -1.2, -1.5, -1.8], 4, 100, CONFIG) == [0, 0]


def test_all_channels_are_open_after_the_end() -> None:
    half = opening_epochs(FALLING, 6, 20, CONFIG)
    assert half == [0, 0, 10, 10, 10, 10]
    assert opening_epochs(FALLING[:9], 6, 20, CONFIG) == [0, 0]


@given(st.lists(st.floats(-5, 5), max_size=30), st.integers(1, 12))
def test_what_is_open_stays_open(losses: list[float], num_channels: int) -> None:
    before = opening_epochs(losses, num_channels, 40, CONFIG)
    after = opening_epochs([*losses, 0.0], num_channels, 40, CONFIG)
    assert after[: len(before)] == before
    assert len(before) <= len(after) <= num_channels


def test_the_bias_closes_kicks_and_fades() -> None:
    losses = [1.0, 1.0, 1.0]
    opened = logit_bias(losses, 6, 100, CONFIG)
    assert opened.tolist() == [0.0, 0.0, 3.0, 3.0, CLOSED, CLOSED]
    falling = [0.5, 0.25, 0.125]
    fading = [logit_bias([*losses, *falling[:n]], 4, 100, CONFIG)[2].item() for n in (1, 2, 3)]
    assert fading == pytest.approx([2.0, 1.0, 0.0])


def test_a_closed_channel_has_no_responsibility_and_no_nan() -> None:
    logits = torch.zeros(1, 6, requires_grad=True)
    r = (logits + logit_bias([], 6, 100, CONFIG)).softmax(dim=1)
    assert r[0].tolist() == [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]
    r[0, 0].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_without_a_start_all_channels_are_open() -> None:
    assert opening_epochs([], 5, 100, CurriculumConfig()) == [0] * 5
    assert not logit_bias([1.0] * 9, 5, 100, CurriculumConfig()).any()
