"""What the soak makes of answers, times and memory; how the service does, no test says."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.memory_watch import MemoryWatch
from benchmarks.open_loop import Sent
from benchmarks.server import Server
from benchmarks.serving_soak import main
from benchmarks.soak_overload import recovery
from benchmarks.soak_scenario import failed, quantile_ms
from benchmarks.soak_swaps import TOLERANCE, OneVersion, read_rows, require_difference


def sent(due: list[float], latency: list[float], status: list[int]) -> Sent:
    count = len(due)
    return Sent(
        np.array(due),
        np.zeros(count, dtype=np.int64),
        np.zeros(count),
        np.array(latency),
        np.array(status, dtype=np.int16),
        np.ones(count, dtype=np.bool_),
    )


def answer(version: str, *probabilities: float) -> bytes:
    rows = [{"probabilities": {"a": p, "b": 1 - p}, "position": [p, 0.5]} for p in probabilities]
    return json.dumps({"bundle_version": version, "predictions": rows}).encode()


def judge() -> OneVersion:
    bodies = {"old": (0.2, 0.4), "new": (0.7, 0.9)}
    return OneVersion(
        {version: (read_rows(answer(version, *p))[1],) for version, p in bodies.items()}
    )


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (answer("old", 0.2, 0.4), True),
        (answer("new", 0.7, 0.9), True),
        (answer("new", 0.7, 0.9 + TOLERANCE / 2), True),
        (answer("new", 0.7, 0.4), False),  # the second row is the old one's
        (answer("new", 0.2, 0.4), False),
        (answer("newer", 0.7, 0.9), False),
        (answer("new", 0.7), False),
    ],
)
def test_an_answer_is_of_the_version_that_it_names_in_every_row(body: bytes, right: bool) -> None:
    assert judge()(0, body) is right


def test_versions_that_agree_on_a_row_could_not_be_told_apart() -> None:
    require_difference(judge())
    rows = {
        v: (read_rows(answer(v, *p))[1],) for v, p in {"x": (0.1, 0.4), "y": (0.9, 0.4)}.items()
    }
    with pytest.raises(SystemExit, match="differ in every row"):
        require_difference(OneVersion(rows))


def test_recovery_ends_with_the_last_window_that_is_slow_or_refuses() -> None:
    before = sent([0.0] * 100, [0.01] * 100, [200] * 100)
    due = np.arange(0, 2, 0.05) + 10
    latency = np.where(due < 10.6, 0.5, 0.005)
    status = np.where((due > 10.9) & (due < 10.95), 503, 200)
    status[22] = 503  # due at 11.1
    after = sent(due.tolist(), latency.tolist(), status.tolist())
    assert recovery(before, after, 10.0) == 1.25
    good = sent(due.tolist(), [0.005] * 40, [200] * 40)
    assert recovery(before, good, 10.0) == 0.0
    status[-1] = 503
    assert np.isnan(recovery(before, sent(due.tolist(), [0.0] * 40, status.tolist()), 10.0))


def test_what_has_no_answer_is_the_slowest() -> None:
    latency = np.array([0.001] * 98 + [np.nan, 0.003])
    assert quantile_ms(latency, 0.5) == 1.0
    assert quantile_ms(latency, 0.98) == 3.0
    assert quantile_ms(latency, 1.0) == np.inf
    assert np.isnan(quantile_ms(np.array([]), 0.5))
    assert failed(sent([0, 0, 0], [0, 0, 0], [200, 503, 0]), 200, 503) == 1


def test_memory_is_watched_and_growth_leaves_the_first_quarter_out() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with MemoryWatch(Server(process, "", 0.0), start=0.0) as memory:
            memory._stop.wait(0.7)
        process.kill()
    assert len(memory.mb) == 1
    assert 1.0 < memory.mb[0] < 100.0
    memory.seconds = [float(second) for second in range(8)]
    memory.mb = [1.0, 5.0, 10.0, 10.0, 10.0, 11.0, 12.0, 14.0]
    assert memory.growth(0.0, 8.0) == 3.0


def test_swaps_come_in_pairs() -> None:
    with pytest.raises(SystemExit):
        main(["--swaps", "3"])
