"""One seed of the calibration benchmark: three calibrations of one network, and a peer."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from benchmarks.fitted import Fitted, fit_seed, read_fitted
from benchmarks.peers.peer import known_test
from benchmarks.peers.supervised_cnn import SupervisedCnn, logits_of
from rcmvae.bundle import Bundle, Lineage, load_bundle, stage_bundle
from rcmvae.bundle.manifest import ENCODER, MANIFEST_NAME
from rcmvae.conformal import ConformalSample
from rcmvae.counts import read_label_map
from rcmvae.label_map import LabelMap
from rcmvae.predictor import Predictor
from training.calibrate import fit_temperature
from training.config import CalibrationConfig, RunConfig, from_json
from training.data import NO_LABEL, Dataset, Examples, load_dataset
from training.draft import foundation_of, write_draft
from training.encode import encode, session_of, softmax
from training.evaluate import Answered, answered, predict_all
from training.recipe import settled
from training.reliability import (
    SetFigures,
    binomial_interval,
    brier_score,
    coverage_interval,
)

ALPHAS = {"99": 0.01, "95": 0.05}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged.

    Attributes:
        config: settled, of the run behind the bundle.
        dataset: its data.
        bundle: as it was published.
    """

    config: RunConfig
    dataset: Dataset
    bundle: Bundle


def fitted(config: RunConfig, seed: int) -> Subject:
    """A fit of one seed."""
    return _subject(fit_seed(config, seed))


def opened(path: Path) -> Subject:
    """A finished run, or a bundle.

    Raises:
        DataError, BundleDamaged: the folder holds neither.
    """
    if not (path / MANIFEST_NAME).is_file():
        return _subject(read_fitted(path))
    bundle = load_bundle(path)
    given = from_json(bundle.manifest.configuration)
    dataset = load_dataset(given.data, given.seed)
    return Subject(settled(given, dataset), dataset, bundle)


def _subject(found: Fitted) -> Subject:
    return Subject(found.run, found.dataset, found.bundle)


def measure(subject: Subject, peer: SupervisedCnn | None) -> dict[str, float]:
    """All figures of one seed, by name."""
    given = subject.config.calibration
    by_examples = replace(given, probabilities="leave_one_out")
    calibrations = {
        "": replace(by_examples, owned_source="held_out"),
        "few_labels_": replace(by_examples, owned_source="leave_one_out"),
        "held_out_": replace(given, probabilities="held_out", owned_source="held_out"),
    }
    figures: dict[str, float] = {}
    for name, config in calibrations.items():
        figures |= _named(name, _calibrated(subject, config))
    if peer is not None:
        figures |= _peer_figures(subject, peer)
    return figures


def _calibrated(subject: Subject, config: CalibrationConfig) -> dict[str, float]:
    """Figures of the network under another calibration: no gradient step, no other graph."""
    label_map = replace(read_label_map(subject.bundle), alpha0=subject.config.objective.alpha0)
    foundation = foundation_of(subject.bundle, _temperature(subject, label_map))
    lineage = Lineage(method="relabel", parent_version=subject.bundle.version)
    draft = write_draft(foundation, label_map, config, lineage, {})
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor.open(stage_bundle(Path(folder), draft))
    dataset, calibration = subject.dataset, predictor.calibration
    batch = predict_all(predictor, dataset.test.x)
    known = answered(predictor, batch, np.array(dataset.held_labels)[dataset.test.y])
    return {
        "temperature": calibration.temperature,
        "alpha0": calibration.alpha0,
        **figures_of_answers(known, len(calibration.label_set)),
    }


def _temperature(subject: Subject, label_map: LabelMap) -> float:
    """By held-out labels, as it was fitted before there was another way."""
    held_out = subject.dataset.density
    logits = encode(session_of(subject.bundle.read(ENCODER)), held_out.x).logits
    return fit_temperature(logits, held_out.y, label_map.tau)


def figures_of_answers(known: Answered, calibrated: int) -> dict[str, float]:
    """Figures of answers to known test inputs.

    Args:
        known: the answers.
        calibrated: size of the sample behind the p-values.
    """
    trust = known.reliability()
    figures = {
        "accuracy": float(known.right.mean()),
        "ece": trust.expected_error,
        "overconfidence": trust.overconfidence,
        "brier": brier_score(known.probabilities, known.truth),
        "miscalibration": trust.miscalibration,
        "resolution": trust.resolution,
    }
    count = known.truth.size
    for name, alpha in ALPHAS.items():
        sets = known.sets(alpha)
        figures |= {
            f"coverage_{name}": sets.coverage,
            f"size_{name}": sets.size,
            f"empty_{name}": sets.empty,
            f"lowest_coverage_{name}": sets.lowest,
            f"inside_binomial_{name}": _inside(sets, binomial_interval(count, alpha)),
            f"inside_drawn_{name}": _inside(sets, coverage_interval(count, calibrated, alpha)),
        }
        conditional = known.conditional_sets(alpha)
        figures |= {
            f"conditional_coverage_{name}": conditional.coverage,
            f"conditional_size_{name}": conditional.size,
            f"conditional_lowest_coverage_{name}": conditional.lowest,
        }
    return figures


def _inside(sets: SetFigures, interval: tuple[float, float]) -> float:
    low, high = interval
    return float(low - 1e-12 <= sets.coverage <= high + 1e-12)


def _named(prefix: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in figures.items()}


def _peer_figures(subject: Subject, peer: SupervisedCnn) -> dict[str, float]:
    """The peer as it is, and with a temperature from the same held-out labels as ours before."""
    dataset = subject.dataset

    def scaled(part: Examples) -> Examples:
        known = part.y != NO_LABEL
        return Examples(dataset.scaled(part.x[known]), part.y[known])

    labelled = replace(dataset, labelled=scaled(dataset.labelled))
    network = peer.fitted(labelled, subject.config)
    fitting, fresh = scaled(dataset.density), scaled(dataset.calibration)
    test = scaled(known_test(dataset))
    logits = [logits_of(network, part.x) for part in (fitting, fresh, test)]
    temperature = cross_entropy_temperature(logits[0], fitting.y)
    figures = {"cnn_scaled_temperature": temperature}
    for name, divisor in (("cnn_", 1.0), ("cnn_scaled_", temperature)):
        held, tested = (softmax(each / divisor) for each in logits[1:])
        known = conformal_answers(held, fresh.y, tested, test.y)
        figures |= _named(name, figures_of_answers(known, len(fresh)))
    return figures


def cross_entropy_temperature(logits: NDArray[np.floating], label: NDArray[np.int64]) -> float:
    """Temperature scaling of Guo et al. 2017, within [0.05, 20].

    Args:
        logits: of n > 0 labelled inputs, (n, C).
        label: (n,).
    """

    def loss(log_temperature: float) -> float:
        probability = softmax(logits / np.exp(log_temperature))[np.arange(len(label)), label]
        return float(-np.log(probability + 1e-12).mean())

    bound = float(np.log(20.0))
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))


def conformal_answers(
    held: NDArray[np.float64],
    held_label: NDArray[np.int64],
    tested: NDArray[np.float64],
    truth: NDArray[np.int64],
) -> Answered:
    """Answers with the p-values that our own sets have, over all inputs and over each label's.

    Args:
        held: probabilities of the calibration sample, (n, C).
        held_label: its labels, (n,).
        tested: probabilities of the test inputs, (m, C).
        truth: their labels, (m,).
    """
    sample = 1.0 - held[np.arange(len(held)), held_label]
    of_label = [
        ConformalSample(np.sort(sample[held_label == y])).p_values(1.0 - tested[:, y])
        for y in range(tested.shape[1])
    ]
    p_values = ConformalSample(np.sort(sample)).p_values(1.0 - tested)
    return Answered(tested, truth, p_values, np.stack(of_label, axis=1))
