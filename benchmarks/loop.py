"""The closed loop with real processes: a new class comes, is noticed, asked about, and served.

python -m benchmarks.loop --models models --json result.json
python -m benchmarks.loop --models models-9 models-8 models-7

Every folder holds a bundle whose configuration leaves classes without labels; each of them is the
new one in a run of its own. A server with several workers and a watcher run on a copy of the
folder. A stream of test inputs of known classes goes to POST /predict one by one; then one in ten
is of the new class, until GET /drift says that the stream drifts. A scripted labeller answers what
GET /candidates asks, by prediction id, and asks again once every worker serves what came of it.
Requests go on all the time. Accuracy is that of the bundle which is served then, on the half of the
test set that is in no stream, by the graph that is served.
"""

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.relabel_latency import running, wait_for, wait_until_settled
from benchmarks.result import (
    Result,
    add_options,
    figures_of,
    print_figures,
    provenance,
    write_result,
)
from rcmvae.bundle import load_current
from rcmvae.predictor import Predictor
from training.config import from_json
from training.data import load_dataset
from training.evaluate import predict_all

SHARE = 0.1
QUIET = 200
"""Requests before the new class comes."""

MOST = 2000
"""Requests with the new class after which it counts as not noticed."""

ROUNDS = (5, 5)
"""Labels that are asked for at the alarm, and once those are served, when more has come."""

_LOOK_EVERY = 5
"""Requests between two looks at GET /drift."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Test inputs and their classes."""

    x: NDArray[np.float32]
    name: NDArray[np.str_]

    def half(self, which: int) -> "Inputs":
        """Every other one."""
        return Inputs(self.x[which::2], self.name[which::2])

    def of(self, names: Sequence[str]) -> "Inputs":
        """Those of some classes."""
        chosen = np.isin(self.name, names)
        return Inputs(self.x[chosen], self.name[chosen])


@dataclass(slots=True)
class Client:
    """Sends inputs one by one, and remembers what they were.

    Attributes:
        http: to the service.
        truth: class of every input, by prediction id.
        failed: requests without an answer of 200.
    """

    http: httpx.Client
    truth: dict[str, str] = field(default_factory=dict)
    failed: int = 0

    def send(self, x: NDArray[np.float32], name: str) -> None:
        """One request."""
        try:
            reply = self.http.post("/predict", json={"inputs": [x.ravel().tolist()]})
        except httpx.TransportError:
            self.failed += 1
            return
        if reply.status_code != httpx.codes.OK:
            self.failed += 1
            return
        self.truth[reply.json()["predictions"][0]["prediction_id"]] = name

    @contextmanager
    def going_on(self, stream: Iterator[tuple[NDArray[np.float32], str]]) -> Iterator[None]:
        """Send a stream from a thread, until the end of the block."""
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                self.send(*next(stream))

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", default=[Path("models")])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strategy", default="unowned", help="of GET /candidates")
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("loop", given)
    cases = [(models, name) for models in options.models for name in new_classes(models)]
    cases = cases[:1] if options.quick else cases
    runs = [close_loop(models, name, options.workers, options.strategy) for models, name in cases]
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(range(len(runs))),
        config={
            "workers": options.workers,
            "share": SHARE,
            "strategy": options.strategy,
            "rounds": list(ROUNDS),
            "new": [name for _, name in cases],
        },
        figures=figures_of(runs),
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def new_classes(models: Path) -> tuple[str, ...]:
    """Classes without labels of the current bundle of a folder."""
    return tuple(from_json(load_current(models).manifest.configuration).data.unlabelled_classes)


def close_loop(models: Path, new: str, workers: int, strategy: str) -> dict[str, float | None]:
    """All figures of one new class; those after an alarm are None where there was none."""
    config = from_json(load_current(models).manifest.configuration)
    dataset = load_dataset(config.data, config.seed)
    inputs = Inputs(dataset.test.x, np.array(dataset.held_labels)[dataset.test.y])
    rng = np.random.default_rng(config.seed)
    known, coming = inputs.half(0).of(dataset.labels), inputs.half(0).of([new])
    with TemporaryDirectory(prefix="loop-") as folder:
        shutil.copytree(models, Path(folder) / "models")
        before = _accuracies(Path(folder), inputs.half(1), dataset.labels, new)
        with running(Path(folder), workers) as http:
            client = Client(http)
            for x, name in _first(drawn(known, coming, 0.0, rng), QUIET):
                client.send(x, name)
            stream = drawn(known, coming, SHARE, rng)
            alarm = _until_alarm(client, stream)
            taught = list[tuple[float, float]]()
            if alarm is not None:
                with client.going_on(stream):
                    taught = [
                        _teach(client, Path(folder), workers, strategy, count) for count in ROUNDS
                    ]
            # The refit that the alarm asked for may end later: it is another figure.
            after = _accuracies(Path(folder), inputs.half(1), dataset.labels, new)
    return {
        "requests_to_alarm": alarm,
        "labels_asked": sum(asked for asked, _ in taught) if taught else None,
        "seconds_to_served": max((seconds for _, seconds in taught), default=None),
        "new_label_accuracy": after[1],
        "old_label_accuracy_before": before[0],
        "old_label_change": after[0] - before[0],
        "failed_requests": float(client.failed),
        "requests": float(len(client.truth) + client.failed),
    }


def drawn(
    known: Inputs, coming: Inputs, share: float, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], str]]:
    """Inputs without end, each of the new class with a probability of ``share``."""
    while True:
        source = coming if rng.random() < share else known
        i = int(rng.integers(len(source.x)))
        yield source.x[i], str(source.name[i])


def _first(
    stream: Iterator[tuple[NDArray[np.float32], str]], count: int
) -> list[tuple[NDArray[np.float32], str]]:
    return [next(stream) for _ in range(count)]


def _until_alarm(client: Client, stream: Iterator[tuple[NDArray[np.float32], str]]) -> float | None:
    """Requests until GET /drift says that the stream drifts; None for more than MOST."""
    for sent in range(0, MOST, _LOOK_EVERY):
        for x, name in _first(stream, _LOOK_EVERY):
            client.send(x, name)
        drift = client.http.get("/drift").json()
        if any(question["drifting"] for question in drift["questions"]):
            return float(sent + _LOOK_EVERY)
    return None


def _teach(
    client: Client, folder: Path, workers: int, strategy: str, count: int
) -> tuple[float, float]:
    """Label what is asked for; how many, and seconds from the 202 until all workers serve it."""
    reply = client.http.get("/candidates", params={"count": count, "strategy": strategy}).json()
    items = [
        {"prediction_id": each["prediction_id"], "label": client.truth[each["prediction_id"]]}
        for each in reply["candidates"]
    ]
    received = client.http.post("/feedback", json={"items": items}).raise_for_status().json()
    posted = time.time()
    wait_until_settled(client.http, received)
    version = (folder / "models" / "CURRENT").read_text().strip()
    return float(len(items)), wait_for(client.http, version, workers) - posted


def _accuracies(folder: Path, inputs: Inputs, old: Sequence[str], new: str) -> tuple[float, float]:
    """Of the current bundle on the old labels, and on the new one."""
    predicted = np.array(
        predict_all(Predictor.open(load_current(folder / "models")), inputs.x).predicted
    )
    right = predicted == inputs.name
    return (
        float(right[np.isin(inputs.name, old)].mean()),
        float(right[inputs.name == new].mean()),
    )


if __name__ == "__main__":
    sys.exit(main())
