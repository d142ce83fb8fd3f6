"""The profile of a step: where time is booked, and ways that compute the same."""

import time

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.step_profile import (
    MARK,
    REFERENCE,
    Way,
    marked,
    part_figures,
    stepping,
    time_by_part,
    time_ways,
    way_figures,
)
from tests.training.tiny import tiny_config, tiny_dataset

CONFIG = tiny_config("objective.second_view=target")


def test_the_backward_pass_is_booked_with_the_part_that_made_it() -> None:
    def square(x: Tensor) -> Tensor:
        return (x @ x).sum()

    small, large = torch.rand(4, 4, requires_grad=True), torch.rand(900, 900, requires_grad=True)
    cheap, dear = marked("cheap", square), marked("dear", square)
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function(MARK + "rest"):
        (cheap(small) + dear(large)).backward()  # type: ignore[no-untyped-call]
    spent = time_by_part(profiler.events() or [])
    assert spent.keys() >= {"cheap", "cheap, backward", "dear", "dear, backward", "rest"}
    assert spent["dear, backward"] > 5 * spent["cheap, backward"]
    assert spent["dear, backward"] > 5 * spent["rest"]


def test_time_that_is_no_operators_is_booked_where_it_is_spent() -> None:
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        marked("sleep", lambda: time.sleep(0.05))()
    assert time_by_part(profiler.events() or [])["sleep"] >= 4.9e4


def test_the_parts_of_a_real_step_sum_to_one() -> None:
    figures = part_figures(tiny_dataset(), CONFIG, steps=2)
    assert sum(figures.values()) == pytest.approx(1.0)
    parts = {name.removeprefix("share of ") for name in figures}
    for part in ("data", "augmentation", "optimiser"):
        assert part in parts
    for part in ("encoder", "decoder", "terms"):
        assert {part, f"{part}, backward"} <= parts
    assert "augmentation, backward" not in parts, "views carry no gradient"


@pytest.mark.parametrize("way", [Way(channels_last=False), Way(adamw="single"), Way(adamw="fused")])
def test_another_way_takes_the_same_step(way: Way) -> None:
    ends = []
    for each in (Way(), way):
        torch.manual_seed(0)
        with stepping(tiny_dataset(), CONFIG, each) as (state, take):
            torch.manual_seed(1)
            take()
            ends.append(state.network.state_dict())
    for name, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensor, atol=1e-4, rtol=1e-3)


def test_ways_are_compared_with_the_reference() -> None:
    seconds = {REFERENCE: [0.2, 0.1, 0.3], "other": [0.4, 0.4, 0.1]}
    figures = way_figures(seconds)
    assert figures[f"{REFERENCE}, ratio"] == 1.0
    assert figures["other, ms"] == pytest.approx(400.0)
    assert figures["other, ratio"] == pytest.approx(2.0)
    assert figures["other, fastest ratio"] == pytest.approx(1.0)
    taken = time_ways(tiny_dataset(), CONFIG, {REFERENCE: Way()}, steps=3)
    assert len(taken[REFERENCE]) == 3
    assert min(taken[REFERENCE]) > 0.0
