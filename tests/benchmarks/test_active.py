"""The benchmark of asking: a stream whose answer is known, and the command line in seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.active import main
from benchmarks.asking import PLANS, Asked, Plan, Stream, ask, labels_to
from rcmvae.candidates import Strategy
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from rcmvae.uncertainty import Uncertainty
from tests.benchmarks.small import flags

CHANNELS = 6
NAMES = ("a", "b", "c")


def _batch(channel: NDArray[np.int64]) -> PredictionBatch:
    """Inputs that lie in one channel each, and say nothing else."""
    count = len(channel)
    nothing = np.zeros(count)
    return PredictionBatch(
        labels=NAMES,
        probabilities=np.full((count, 3), 1 / 3, dtype=np.float32),
        responsibilities=np.eye(CHANNELS, dtype=np.float32)[channel],
        channel=channel,
        position=np.zeros((count, 2), dtype=np.float32),
        uncertainty=Uncertainty(nothing, nothing, nothing, nothing),
        score_names=("s",),
        scores=np.zeros((count, 1), dtype=np.float32),
        p_familiar=np.ones(count),
        p_owned=np.ones(count),
        label_p_values=np.ones((count, 3)),
    )


@pytest.fixture
def stream() -> Stream:
    """Six pure channels of three classes, of which the first holds some more inputs."""
    channel = np.repeat(np.arange(CHANNELS), [20, 16, 16, 16, 16, 16])
    tested = np.repeat(np.arange(CHANNELS), 5)
    nothing = LabelMap(NAMES, np.empty((0, CHANNELS)), np.empty(0, dtype=np.int64), (), 0.05)
    return Stream(_batch(channel), channel % 3, _batch(tested), tested % 3, NAMES, nothing)


def test_one_label_a_channel_is_all_that_it_takes(stream: Stream) -> None:
    plan = Plan("representatives", Strategy.REPRESENTATIVES, Strategy.REPRESENTATIVES)
    curve, rows = ask(stream, plan, 0, range(1, 9))
    assert set(stream.pool.channel[rows[:CHANNELS]].tolist()) == set(range(CHANNELS))
    assert labels_to(curve, 1.0) == CHANNELS
    assert [point.labels for point in curve] == list(range(1, 9))
    by_chance, _ = ask(stream, PLANS[0], 0, range(1, 100))
    found = labels_to(by_chance, 1.0)
    assert found is not None
    assert found > CHANNELS


def test_a_fit_goes_on_with_another_stream(stream: Stream) -> None:
    seen: list[int] = []

    def after(rows: NDArray[np.int64]) -> Stream | None:
        seen.append(rows.size)
        return None

    _, first = ask(stream, PLANS[0], 3, range(2, 7, 2), after=after)
    assert seen == [2, 4, 6]
    assert len(set(first.tolist())) == 6
    curve, rows = ask(stream, PLANS[0], 3, range(4, 9, 4), rows=first[:4])
    assert rows[:6].tolist() == first.tolist()
    assert curve[0] == Asked(4, stream.accuracy(stream.label_map(first[:4])))


def test_from_the_command_line(tmp_path: Path) -> None:
    result, picture = tmp_path / "active.json", tmp_path / "active.png"
    asked = ["--most", "20", "--batch", "10", "--pool", "300", "--fit-at", "20"]
    short = ["--fit-epochs", "1", "--cnn-at", "10", "20", "--cnn-steps", "3", "--quick"]
    written = ["--json", str(result), "--picture", str(picture)]
    assert main(["--threads", "1", *asked, *short, *written, *flags()]) == 0
    document = json.loads(result.read_text())
    assert document["config"]["run"]["data"]["labels"] == 0
    assert document["config"]["budget"]["most"] == 20
    curves = {curve["name"]: curve for curve in document["curves"]}
    others = {"representatives, fitted anew", "random, fitted anew", "cnn, random", "cnn, entropy"}
    assert set(curves) == {plan.name for plan in PLANS} | others
    for curve in curves.values():
        assert curve["labels"] == [10, 20]
        assert all(0.0 < accuracy <= 1.0 for accuracy in curve["accuracy"])
    # Before that fit the network is the same one, and so are the labels.
    plain, anew = curves["representatives"], curves["representatives, fitted anew"]
    assert plain["accuracy"][0] == anew["accuracy"][0]
    assert document["figures"]["random: labels to 98.5 %"]["values"] == [None]
    assert picture.read_bytes().startswith(b"\x89PNG")
