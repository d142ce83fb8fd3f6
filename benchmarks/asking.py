"""Labels asked for one after another, and what each batch of them is worth on the test inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.calibration import parse_calibration
from rcmvae.candidates import Strategy, pool_of, suggest
from rcmvae.counts import read_label_map
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from training.calibrate import tempered
from training.data import Dataset, load_source
from training.evaluate import predict_all

RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which strategy chooses when.

    Attributes:
        name: for tables and pictures.
        first: chooses the first labels; None for chance.
        then: chooses the others; None for chance.
        switch: labels after which ``then`` takes over; None for one for every channel.
    """

    name: str
    first: Strategy | None
    then: Strategy | None
    switch: int | None = None


PLANS = (
    Plan(RANDOM, None, None),
    *(Plan(strategy.value, strategy, strategy) for strategy in Strategy),
    *(
        Plan(f"representatives, then {then.value}", Strategy.REPRESENTATIVES, then)
        for then in (Strategy.MARGIN, Strategy.DISAGREEMENT, Strategy.DIVERSE)
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Accuracy after so many labels."""

    labels: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Stream:
    """A bundle's answers for the inputs to choose from and for the test inputs.

    Responsibilities are at temperature one: the bundle's temperature comes from held-out labels,
    which nobody asked for.

    Attributes:
        pool: for the first unlabelled inputs, N of them.
        truth: their classes, what a person would say, index into ``names``, (N,).
        test: for the test inputs, M of them.
        test_truth: their classes, (M,).
        names: of the classes.
        empty: the bundle's label map without an example.
    """

    pool: PredictionBatch
    truth: NDArray[np.int64]
    test: PredictionBatch
    test_truth: NDArray[np.int64]
    names: tuple[str, ...]
    empty: LabelMap

    def label_map(self, rows: NDArray[np.int64]) -> LabelMap:
        """The map after the labels of these rows of the pool, (n,)."""
        names = [self.names[label] for label in self.truth[rows]]
        contributions = self.pool.responsibilities[rows].astype(np.float64)
        return self.empty.add(contributions, names, [f"asked-{row}" for row in rows])

    def accuracy(self, label_map: LabelMap) -> float:
        """Share of the test inputs that a map answers right."""
        predicted = (self.test.responsibilities @ label_map.tau).argmax(axis=1)
        return float((predicted == self.test_truth).mean())


def open_stream(bundle: Bundle, dataset: Dataset, source: str, inputs: int) -> Stream:
    """Answer the first ``inputs`` unlabelled inputs and the test inputs.

    Args:
        bundle: to ask with.
        dataset: of its run.
        source: name of the data, for the classes of the unlabelled inputs.
        inputs: at most so many to choose from.
    """
    predictor = Predictor.open(bundle)
    temperature = parse_calibration(bundle.read(CALIBRATION)).temperature
    rows = dataset.split.unlabelled[:inputs]
    label_map = read_label_map(bundle)
    return Stream(
        pool=_at_temperature_one(predict_all(predictor, dataset.unlabelled[:inputs]), temperature),
        truth=load_source(source).train.y[rows],
        test=_at_temperature_one(predict_all(predictor, dataset.test.x), temperature),
        test_truth=dataset.test.y,
        names=dataset.held_labels,
        empty=replace(label_map.withdraw(label_map.ids), labels=dataset.held_labels),
    )


def _at_temperature_one(batch: PredictionBatch, temperature: float) -> PredictionBatch:
    r = tempered(batch.responsibilities.astype(np.float64), 1.0 / temperature)
    return replace(batch, responsibilities=r.astype(np.float32))


def ask(
    stream: Stream,
    plan: Plan,
    seed: int,
    counts: range,
    rows: NDArray[np.int64] | None = None,
    after: Callable[[NDArray[np.int64]], Stream | None] = lambda _: None,
) -> tuple[list[Asked], NDArray[np.int64]]:
    """Ask for labels in batches; after each, measure what the map knows by counts alone.

    Args:
        stream: to choose from.
        plan: how to choose.
        seed: of what is left to chance: the order of the pool, by which ties are broken.
        counts: labels after each batch.
        rows: asked for before.
        after: called with all rows asked for; returns the stream to go on with where the network
            was refitted, over the same inputs.

    Returns:
        Accuracies, and the rows of the pool in the order in which they were asked for.
    """
    key = np.random.default_rng(seed).permutation(len(stream.pool)).astype(np.int64)
    asked = np.empty(0, dtype=np.int64) if rows is None else rows
    curve: list[Asked] = []
    for count in counts:
        more = count - asked.size
        if more > 0:
            asked = np.concatenate([asked, _choose(stream, plan, key, asked, more)])
        stream = after(asked) or stream
        curve.append(Asked(count, stream.accuracy(stream.label_map(asked))))
    return curve, asked


def _choose(
    stream: Stream, plan: Plan, key: NDArray[np.int64], asked: NDArray[np.int64], more: int
) -> NDArray[np.int64]:
    switch = stream.empty.num_channels if plan.switch is None else plan.switch
    strategy = plan.first if asked.size < switch else plan.then
    labelled = np.zeros(key.size, dtype=bool)
    labelled[asked] = True
    if strategy is None:
        order = np.argsort(key)
        return np.asarray(order[~labelled[order]][:more])
    pool = pool_of(stream.pool, stream.label_map(asked), key, labelled)
    return suggest(pool, strategy, more).rows


def labels_to(curve: Sequence[Asked], target: float) -> int | None:
    """The fewest labels after which the accuracy is at least ``target``; None for never."""
    return next((point.labels for point in curve if point.accuracy >= target), None)
