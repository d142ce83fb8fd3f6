"""Images per second of the training step, beside the least that the step could cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.fit import fit
from training.model.encoder import build_encoder
from training.model.network import channel_count
from training.state import FitState
from training.threads import thread_count


@dataclass(frozen=True, slots=True)
class EpochCost:
    """What an epoch costs.

    Attributes:
        images: unlabelled inputs that an epoch goes through.
        seconds: of one epoch, the mean without the first.
    """

    images: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Unlabelled inputs a second."""
        return self.images / self.seconds


def epoch_cost(dataset: Dataset, run: RunConfig, epochs: int) -> EpochCost:
    """Time the training loop as it is over ``epochs`` + 1 epochs, the first to warm up.

    The schedule is squeezed into these epochs, so that its early and its late terms both count.
    """
    ends: list[float] = []

    def note(_: FitState) -> None:
        ends.append(time.perf_counter())

    fit(dataset, replace(run, fit=replace(run.fit, epochs=epochs + 1)), on_epoch=note)
    steps = max(1, len(dataset.unlabelled) // run.fit.batch)
    images = min(len(dataset.unlabelled), steps * run.fit.batch)
    return EpochCost(images, (ends[-1] - ends[0]) / epochs)


def step_figures(dataset: Dataset, run: RunConfig, epochs: int, steps: int) -> dict[str, float]:
    """Images a second of the step, of its floor, and the step's share of the floor.

    ``floor``: the bare encoder, forward and backward in float32 with gradients of all weights,
    over as many rows as a step learns from: the B unlabelled inputs, twice where both of their
    views learn, and the labelled ones. No views are drawn, nothing is decoded, no loss but a mean
    of squares of the heads, no optimiser. ``one_view_floor``: the same over the B unlabelled inputs
    once. All figures count the B unlabelled inputs of a step.
    """
    cost = epoch_cost(dataset, run, epochs)
    batch = run.fit.batch
    views = 2 if run.objective.second_view == "learning" else 1
    floor = batch / _encoder_seconds(dataset, run, views * batch + run.fit.labelled_batch, steps)
    one_view = batch / _encoder_seconds(dataset, run, batch, steps)
    return {
        "step_images_per_second": cost.images_per_second,
        "floor_images_per_second": floor,
        "one_view_floor_images_per_second": one_view,
        "step_share_of_floor": cost.images_per_second / floor,
    }


def _encoder_seconds(dataset: Dataset, run: RunConfig, rows: int, steps: int) -> float:
    """Median seconds of a forward and backward pass of the encoder over ``rows`` inputs."""
    torch.set_num_threads(thread_count(run.fit.threads))
    torch.manual_seed(run.seed)
    channels = channel_count(run.model, len(dataset.held_labels))
    encoder = build_encoder(dataset.shape, run.model, channels)
    x = torch.from_numpy(dataset.unlabelled)[torch.arange(rows) % len(dataset.unlabelled)]

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        loss = _mean_square(encoder(x))
        loss.backward()  # type: ignore[no-untyped-call]

    return _median_seconds(step, steps)


def _mean_square(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.square().mean() for part in parts]).sum()


def _median_seconds(step: Callable[[], None], steps: int) -> float:
    """The median, which a few delayed steps do not move; the first step is left out."""
    step()
    taken = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2]


def growth_figures(run: RunConfig, limits: Sequence[int], epochs: int) -> dict[str, float]:
    """Seconds an epoch and images a second for each number of training inputs.

    A limit above what the source has, less what is held out, means all of it: ``images_of``.
    """
    figures: dict[str, float] = {}
    for limit in limits:
        dataset = load_dataset(replace(run.data, limit=limit), run.seed)
        cost = epoch_cost(dataset, run, epochs)
        figures[f"images_of_{limit}"] = float(len(dataset.unlabelled))
        figures[f"seconds_per_epoch_of_{limit}"] = cost.seconds
        figures[f"images_per_second_of_{limit}"] = cost.images_per_second
    return figures
