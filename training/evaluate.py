"""Evaluation on the test set, by the predictor that serves."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from rcmvae.decision import Decision, decide, prediction_set
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from training.data import Dataset
from training.encode import CHUNK

NOISE_INPUTS = 1000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures on test data; shares are in [0, 1].

    Attributes:
        alpha: the false-alarm rate that the decisions were made at.
        known_inputs: test inputs whose class carries a label.
        accuracy: of those, answered with the right label.
        false_alarms: of those, answered anything but ``known``.
        false_alarms_allowed: upper end of the central 95 % binomial interval around alpha.
        unlabelled_inputs: test inputs of classes without a label.
        unlabelled_as_unknown: of those, answered ``unknown_class``.
        noise_detected: uniform noise answered ``out_of_distribution``.
        inverted_detected: inverted test inputs answered ``out_of_distribution``.
        coverage: known inputs whose prediction set at alpha holds the truth.
        set_size: mean size of those sets.
        expected_calibration_error: ECE over 15 bins of the known inputs' confidence.
    """

    alpha: float
    known_inputs: int
    accuracy: float
    false_alarms: float
    false_alarms_allowed: float
    unlabelled_inputs: int
    unlabelled_as_unknown: float
    noise_detected: float
    inverted_detected: float
    coverage: float
    set_size: float
    expected_calibration_error: float

    def figures(self) -> dict[str, float]:
        """All figures by name."""
        return {name: float(value) for name, value in asdict(self).items()}


def evaluate(predictor: Predictor, dataset: Dataset, alpha: float, seed: int = 0) -> Evaluation:
    """Evaluate a predictor on the test part, on noise, and on inverted test inputs.

    Args:
        predictor: the bundle as it is served.
        dataset: its test part is used, nothing else.
        alpha: false-alarm rate.
        seed: of the noise.
    """
    labels = predictor.manifest.labels
    truth = np.array(dataset.held_labels)[dataset.test.y]
    is_known = np.isin(truth, labels)
    batch = predict_all(predictor, dataset.test.x)
    known = _Known(batch, truth, is_known, alpha)
    decisions = np.array(decide(batch.p_familiar, batch.p_owned, alpha))
    noise = dataset.raw(uniform_noise(NOISE_INPUTS, dataset.shape, seed))
    count = int(is_known.sum())
    return Evaluation(
        alpha=alpha,
        known_inputs=count,
        accuracy=known.accuracy(),
        false_alarms=_share(decisions[is_known] != Decision.KNOWN),
        false_alarms_allowed=float(binom.ppf(0.975, count, alpha)) / max(1, count),
        unlabelled_inputs=len(truth) - count,
        unlabelled_as_unknown=_share(decisions[~is_known] == Decision.UNKNOWN_CLASS),
        noise_detected=_share_strange(predictor, noise, alpha),
        inverted_detected=_share_strange(predictor, inverted(dataset), alpha),
        coverage=known.coverage(),
        set_size=known.set_size(),
        expected_calibration_error=known.calibration_error(),
    )


def uniform_noise(count: int, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Values drawn from [0, 1] one by one, (count, *shape)."""
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def inverted(dataset: Dataset) -> NDArray[np.float32]:
    """Test inputs with every value mirrored about the middle of its scale."""
    return dataset.raw(1.0 - dataset.scaled(dataset.test.x))


class _Known:
    """Test inputs of known labels, and what was answered for them."""

    def __init__(
        self,
        batch: PredictionBatch,
        truth: NDArray[np.str_],
        is_known: NDArray[np.bool_],
        alpha: float,
    ) -> None:
        self._truth = truth[is_known]
        self._predicted = np.array(batch.predicted)[is_known]
        self._confidence = batch.probabilities[is_known].max(axis=1)
        self._sets = [
            prediction_set(batch.labels, row, alpha) for row in batch.label_p_values[is_known]
        ]

    def accuracy(self) -> float:
        return _share(self._predicted == self._truth)

    def coverage(self) -> float:
        pairs = zip(self._truth, self._sets, strict=True)
        return _share(np.array([label in kept for label, kept in pairs]))

    def set_size(self) -> float:
        return float(np.mean([len(kept) for kept in self._sets])) if self._sets else 0.0

    def calibration_error(self) -> float:
        return expected_calibration_error(self._confidence, self._predicted == self._truth)


def expected_calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """ECE over equal-width bins of the confidence in [0, 1] (Guo et al. 2017, equation 3)."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(float(right[place == b].mean()) - float(confidence[place == b].mean()))
        * float((place == b).mean())
        for b in np.unique(place)
    ]
    return float(sum(gaps))


def predict_all(predictor: Predictor, x: NDArray[np.float32]) -> PredictionBatch:
    """Predict any number of inputs, CHUNK at a time."""
    parts = [predictor.predict(x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    return PredictionBatch.concatenate(parts)


def _share_strange(predictor: Predictor, x: NDArray[np.float32], alpha: float) -> float:
    batch = predict_all(predictor, x)
    decisions = np.array(decide(batch.p_familiar, batch.p_owned, alpha))
    return _share(decisions == Decision.OUT_OF_DISTRIBUTION)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else 0.0
