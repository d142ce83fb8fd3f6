"""What the page is made of: everything is computed here, and the pictures only draw it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import DECODER, ENCODER
from rcmvae.calibration import Calibration
from rcmvae.counts import read_label_map
from rcmvae.label_map import LabelMap
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from training.config import RunConfig, from_json
from training.data import NO_LABEL, Dataset, Examples, load_dataset
from training.encode import decode, session_of
from training.evaluate import Evaluation, evaluate, inverted, predict_all, uniform_noise
from training.report.cause import Errors, find_errors, label_counts, majority_labels
from training.report.census import ChannelFacts, ClassFacts, channel_facts, class_facts
from training.report.latents import Latents, read_latents
from training.state import EpochRecord

STREAM_ROWS = 10_000
"""Unlabelled inputs that the page looks at; more would not change a picture."""
STRANGE_ROWS = 500


@dataclass(frozen=True, slots=True)
class Findings:
    """What the pictures are drawn from.

    Attributes:
        bundle: the bundle that is looked into.
        config: the configuration of the run behind it.
        dataset: its data.
        label_map: its map.
        calibration: its calibration.
        test: answers for the test inputs, n of them.
        noise: answers for uniform noise.
        inverted: answers for inverted test inputs.
        evaluation: figures on the test set.
        history: one record per epoch of the run.
        stream: latents of unlabelled inputs, at most STREAM_ROWS drawn at random.
        known: latents of the n test inputs, and after them of the held-out inputs with a label.
        known_label: label of each of them by name, (n + m,).
        names: classes of the test set, and after them labels that only the map has.
        truth: class of every test input, index into ``names``, int64 (n,).
        errors: wrong answers on the test set by cause.
        channels: facts of every channel, in the order in which pictures show them.
        classes: facts of every class.
    """

    bundle: Bundle
    config: RunConfig
    dataset: Dataset
    label_map: LabelMap
    calibration: Calibration
    test: PredictionBatch
    noise: PredictionBatch
    inverted: PredictionBatch
    evaluation: Evaluation
    history: list[EpochRecord]
    stream: Latents
    known: Latents
    known_label: NDArray[np.str_]
    names: tuple[str, ...]
    truth: NDArray[np.int64]
    errors: Errors
    channels: tuple[ChannelFacts, ...]
    classes: tuple[ClassFacts, ...]

    @property
    def used(self) -> tuple[ChannelFacts, ...]:
        """Channels that are the most responsible one of an unlabelled or a test input."""
        used = set(self.stream.channel.tolist()) | set(self.test.channel.tolist())
        return tuple(facts for facts in self.channels if facts.channel in used)

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Test inputs of a class that carries a label, (n,)."""
        return np.isin(np.array(self.names)[self.truth], self.bundle.manifest.labels)

    def decode(self, z: NDArray[np.float32], channel: NDArray[np.int64]) -> NDArray[np.float32]:
        """Decode z (m, d) by channel (m,): (m, *shape)."""
        return decode(session_of(self.bundle.read(DECODER)), z, channel)


def find(bundle: Bundle, history: list[EpochRecord], say: Callable[[str], None]) -> Findings:
    """Look into a bundle.

    Args:
        bundle: verified.
        history: of the run behind it.
        say: told what is done next; this takes a minute for tens of thousands of inputs.
    """
    say("data")
    config = from_json(bundle.manifest.configuration)
    dataset = load_dataset(config.data, config.seed)
    predictor = Predictor.open(bundle)
    names = _names(dataset, bundle)
    say("answers")
    test = predict_all(predictor, dataset.test.x)
    noise = dataset.raw(uniform_noise(STRANGE_ROWS, dataset.shape, seed=0))
    say("evaluation")
    evaluation = evaluate(predictor, dataset, predictor.calibration.alpha)
    say("latents")
    encoder = session_of(bundle.read(ENCODER))
    stream = read_latents(encoder, _some_of(dataset.unlabelled))
    held = _held(dataset)
    known = read_latents(encoder, np.concatenate([dataset.test.x, held.x]))
    label_map = read_label_map(bundle)
    truth = dataset.test.y
    counts = label_counts(test.channel, truth, label_map.num_channels, len(names))
    errors = _errors(test, truth, counts, names)
    return Findings(
        bundle=bundle,
        config=config,
        dataset=dataset,
        label_map=label_map,
        calibration=predictor.calibration,
        test=test,
        noise=predict_all(predictor, noise),
        inverted=predict_all(predictor, inverted(dataset)[:STRANGE_ROWS]),
        evaluation=evaluation,
        history=history,
        stream=stream,
        known=known,
        known_label=np.concatenate([np.array(names)[truth], np.array(dataset.labels)[held.y]]),
        names=names,
        truth=truth,
        errors=errors,
        channels=channel_facts(
            label_map,
            predictor.calibration.free_mass,
            stream.usage,
            counts,
            names,
            test.channel,
            errors,
        ),
        classes=class_facts(counts, names, bundle.manifest.labels, truth, errors),
    )


def _names(dataset: Dataset, bundle: Bundle) -> tuple[str, ...]:
    more = (name for name in bundle.manifest.labels if name not in dataset.held_labels)
    return (*dataset.held_labels, *more)


def _some_of(x: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(x) <= STREAM_ROWS:
        return x
    return x[np.sort(np.random.default_rng(0).choice(len(x), STREAM_ROWS, replace=False))]


def _held(dataset: Dataset) -> Examples:
    """Held-out inputs whose label is known."""
    x = np.concatenate([dataset.density.x, dataset.calibration.x])
    y = np.concatenate([dataset.density.y, dataset.calibration.y])
    return Examples(x, y).take(np.flatnonzero(y != NO_LABEL))


def _errors(
    test: PredictionBatch,
    truth: NDArray[np.int64],
    counts: NDArray[np.int64],
    names: tuple[str, ...],
) -> Errors:
    predicted = np.array([names.index(label) for label in test.predicted], dtype=np.int64)
    judged = np.isin(truth, [names.index(label) for label in test.labels])
    return find_errors(test.channel, truth, predicted, majority_labels(counts), judged)
