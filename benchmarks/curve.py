"""Accuracy against seconds of training, with the clock stopped while it is measured."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.peers.peer import known_test, share_right
from training.config import RunConfig
from training.data import Dataset
from training.encode import chunks
from training.fit import fit
from training.objective import posterior_mean
from training.state import FitState


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    Attributes:
        seconds: of training up to here.
        accuracy: on the known test inputs.
    """

    seconds: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The measurements of one training run, in order.

    Attributes:
        name: of the method.
        seed: of the run.
        points: at least one.
    """

    name: str
    seed: int
    points: tuple[Point, ...]

    def seconds_to(self, target: float) -> float | None:
        """Seconds at the first measurement of at least ``target``; None where there is none."""
        return next((p.seconds for p in self.points if p.accuracy >= target), None)

    @property
    def best(self) -> float:
        """The highest accuracy measured."""
        return max(point.accuracy for point in self.points)


class Stopwatch:
    """Wall-clock seconds that can be paused."""

    def __init__(self) -> None:
        self._paused = 0.0
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start, without the pauses that are over."""
        return time.perf_counter() - self._start - self._paused

    @contextmanager
    def pause(self) -> Iterator[float]:
        """Stop the clock; yields the seconds at which it stands."""
        since = time.perf_counter()
        yield since - self._start - self._paused
        self._paused += time.perf_counter() - since


def our_curve(dataset: Dataset, run: RunConfig) -> Curve:
    """Ours, measured after every epoch, by the counts that training has at that moment.

    The clock starts before the network is made. The final label map, export and calibration come
    after the curve and are not in it.
    """
    test, points, watch = known_test(dataset), list[Point](), Stopwatch()

    def measure(state: FitState) -> None:
        with watch.pause() as seconds:
            predicted = answers_in_training(state, run, test.x)
            points.append(Point(seconds, share_right(predicted, test)))

    # A checkpoint is not asked for, so none is written within the time.
    fit(dataset, run, on_epoch=measure)
    return Curve("ours", run.seed, tuple(points))


def answers_in_training(
    state: FitState, run: RunConfig, x: NDArray[np.float32]
) -> NDArray[np.int64]:
    """argmax_y sum_k r_k(x) tau_{k,y} of inputs (n, *shape) with the loop's own decayed counts."""
    counts = state.counts * (run.data.labels / state.counts.sum())
    tau = posterior_mean(counts, run.objective.alpha0)
    network = state.served
    network.eval()
    with torch.no_grad():
        # In the loop the network is where it trains.
        inputs = torch.from_numpy(x).to(tau.device)
        parts: list[Tensor] = [
            (network.encode(inputs[rows]).logits.softmax(dim=1) @ tau).argmax(dim=1)
            for rows in chunks(len(x))
        ]
    network.train()
    return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Budget:
    """When Pyro's training is measured, and when it ends.

    Attributes:
        seconds: of training at the most.
        every: seconds of training between two measurements.
        enough: the accuracy after which it need not go on.
    """

    seconds: float
    every: float
    enough: float


def pyro_curve(dataset: Dataset, run: RunConfig, budget: Budget) -> Curve:
    """Pyro's VAE, measured at regular intervals until it is good enough or the budget is spent."""
    # Two seconds of imports, which are not part of the time either.
    from benchmarks.peers.pyro_ssvae import PyroSsvae  # noqa: PLC0415

    test, points, watch = known_test(dataset), list[Point](), Stopwatch()
    # The budget ends it, not the epochs.
    for answer in replace(PyroSsvae(), epochs=1_000_000).train(dataset, run):
        if watch.seconds < min(budget.every * (len(points) + 1), budget.seconds):
            continue
        with watch.pause() as seconds:
            points.append(Point(seconds, share_right(answer(test.x), test)))
        if seconds >= budget.seconds or points[-1].accuracy >= budget.enough:
            break
    return Curve("pyro", run.seed, tuple(points))


def curve_figures(ours: Curve, pyro: Curve, targets: Sequence[float]) -> dict[str, float | None]:
    """Seconds to every target, and how many times faster ours is.

    A target that was not reached is None, and so is its ratio. Where ours reached it and Pyro did
    not, the ratio is at least Pyro's time so far over ours: ``ratio_at_least``, which equals the
    ratio where both reached it.
    """
    figures: dict[str, float | None] = {
        "ours_best_accuracy": ours.best,
        "pyro_best_accuracy": pyro.best,
    }
    for target in targets:
        name = f"{100 * target:g}"
        mine, theirs = ours.seconds_to(target), pyro.seconds_to(target)
        figures[f"ours_seconds_to_{name}"] = mine
        figures[f"pyro_seconds_to_{name}"] = theirs
        figures[f"ratio_to_{name}"] = theirs / mine if mine and theirs else None
        spent = theirs or pyro.points[-1].seconds
        figures[f"ratio_at_least_to_{name}"] = spent / mine if mine else None
    return figures
