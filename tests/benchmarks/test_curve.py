"""Time to an accuracy: null where it was not reached, and a clock that can stand still."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.curve import (
    Budget,
    Curve,
    Point,
    Stopwatch,
    answers_in_training,
    curve_figures,
    our_curve,
    pyro_curve,
)
from benchmarks.curve_picture import draw_curves
from tests.benchmarks.small import small_config, small_dataset
from training.fit import fit
from training.state import FitState, new_state


def curve(name: str, *points: tuple[float, float]) -> Curve:
    return Curve(name, 0, tuple(Point(*point) for point in points))


OURS = curve("ours", (10, 0.5), (20, 0.96), (30, 0.94), (40, 0.98))
PYRO = curve("pyro", (50, 0.5), (100, 0.91), (150, 0.95))


def test_the_first_measurement_at_the_target_counts() -> None:
    assert OURS.seconds_to(0.95) == 20
    assert OURS.seconds_to(0.98) == 40
    assert OURS.best == 0.98


def test_what_was_not_reached_is_null_and_bounds_the_ratio() -> None:
    figures = curve_figures(OURS, PYRO, (0.95, 0.98, 0.99))
    assert figures["ratio_to_95"] == figures["ratio_at_least_to_95"] == 7.5
    assert (figures["pyro_seconds_to_98"], figures["ratio_to_98"]) == (None, None)
    assert figures["ratio_at_least_to_98"] == 150 / 40
    nothing = ("ours_seconds_to_99", "pyro_seconds_to_99", "ratio_to_99", "ratio_at_least_to_99")
    assert [figures[name] for name in nothing] == [None] * 4


def test_no_bound_where_pyro_alone_reached_it() -> None:
    figures = curve_figures(PYRO, OURS, (0.98,))
    assert figures["pyro_seconds_to_98"] == 40
    assert figures["ratio_to_98"] is figures["ratio_at_least_to_98"] is None


def test_the_clock_stands_still_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("benchmarks.curve.time", SimpleNamespace(perf_counter=lambda: now))
    watch = Stopwatch()
    now += 1.0
    with watch.pause() as stood:
        now += 5.0
    assert stood == watch.seconds == 1.0
    now += 0.5
    assert watch.seconds == 1.5


def test_our_curve_has_a_point_for_every_epoch() -> None:
    found = our_curve(small_dataset(), small_config())
    seconds = [point.seconds for point in found.points]
    assert len(seconds) == 3
    assert seconds == sorted(seconds)
    assert all(0.0 <= point.accuracy <= 1.0 for point in found.points)


def test_measuring_changes_nothing() -> None:
    config = small_config("fit.epochs=2")
    plain = fit(small_dataset(), config, quiet=True)
    x = small_dataset().test.x

    def measure(state: FitState) -> None:
        answers_in_training(state, config, x)

    seen = fit(small_dataset(), config, quiet=True, on_epoch=measure)
    theirs = seen.network.state_dict()
    assert all(torch.equal(mine, theirs[name]) for name, mine in plain.network.state_dict().items())


def test_answers_follow_the_counts_of_the_loop() -> None:
    dataset, config = small_dataset(), small_config()
    state = new_state(dataset, config)
    state.counts[:, 4] = 1.0  # every channel says four
    assert (answers_in_training(state, config, dataset.test.x) == 4).all()


def test_pyro_stops_at_its_budget_or_when_it_is_good_enough() -> None:
    dataset, config = small_dataset(), small_config()
    spent = pyro_curve(dataset, config, Budget(seconds=0.6, every=0.2, enough=1.1))
    assert 0.6 <= spent.points[-1].seconds < 5.0
    assert curve_figures(OURS, spent, (0.9999,))["pyro_seconds_to_99.99"] is None
    enough = pyro_curve(dataset, config, Budget(seconds=60.0, every=0.2, enough=0.0))
    assert len(enough.points) == 1


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "curves.png"
    perfect = replace(OURS, points=(*OURS.points, Point(50, 1.0)))
    draw_curves([perfect, PYRO], (0.95, 0.99), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("rows", [1, 700])
def test_answers_come_for_every_input(rows: int) -> None:
    dataset, config = small_dataset(), small_config()
    state = new_state(dataset, config)
    state.counts += 1.0
    x = np.resize(dataset.test.x, (rows, *dataset.shape))
    assert answers_in_training(state, config, x).shape == (rows,)
