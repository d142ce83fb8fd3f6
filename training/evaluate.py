"""Evaluation on the test set, by the predictor that serves."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from rcmvae.calibration import PValues
from rcmvae.decision import Decision, decide
from rcmvae.prediction import PredictionBatch
from rcmvae.predictor import Predictor
from training.data import Dataset
from training.encode import CHUNK
from training.reliability import (
    NO_SETS,
    Reliability,
    SetFigures,
    brier_score,
    reliability,
    set_figures,
)

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
        overconfidence: their mean confidence less their accuracy.
        brier: their Brier score, summed over the labels.
        lowest_coverage: coverage of the label whose sets at alpha hold it least often.
        conditional_lowest_coverage: the same of class-conditional sets; 0 without them.
        conditional_set_size: mean size of class-conditional sets; 0 without them.
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
    overconfidence: float
    brier: float
    lowest_coverage: float
    conditional_lowest_coverage: float
    conditional_set_size: float

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
    known = answered(predictor, batch, truth)
    sets, conditional = known.sets(alpha), known.conditional_sets(alpha)
    trust = known.reliability() if known.truth.size else None
    decisions = np.array(decide(batch.p_familiar, batch.p_owned, alpha))
    noise = dataset.raw(uniform_noise(NOISE_INPUTS, dataset.shape, seed))
    count = int(is_known.sum())
    return Evaluation(
        alpha=alpha,
        known_inputs=count,
        accuracy=_share(known.right),
        false_alarms=_share(decisions[is_known] != Decision.KNOWN),
        false_alarms_allowed=float(binom.ppf(0.975, count, alpha)) / max(1, count),
        unlabelled_inputs=len(truth) - count,
        unlabelled_as_unknown=_share(decisions[~is_known] == Decision.UNKNOWN_CLASS),
        noise_detected=_share_strange(predictor, noise, alpha),
        inverted_detected=_share_strange(predictor, inverted(dataset), alpha),
        coverage=sets.coverage,
        set_size=sets.size,
        expected_calibration_error=trust.expected_error if trust else 0.0,
        overconfidence=trust.overconfidence if trust else 0.0,
        brier=brier_score(known.probabilities, known.truth) if trust else 0.0,
        lowest_coverage=sets.lowest,
        conditional_lowest_coverage=conditional.lowest,
        conditional_set_size=conditional.size,
    )


def uniform_noise(count: int, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Values drawn from [0, 1] one by one, (count, *shape)."""
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


def inverted(dataset: Dataset) -> NDArray[np.float32]:
    """Test inputs with every value mirrored about the middle of its scale."""
    return dataset.raw(1.0 - dataset.scaled(dataset.test.x))


@dataclass(frozen=True, slots=True)
class Answered:
    """Test inputs of known labels, m of them, and what was answered.

    Attributes:
        probabilities: (m, C).
        truth: index into the labels, (m,).
        p_values: of every label, for the bundle's own sets, (m, C).
        conditional: the same for class-conditional sets; None where the bundle has none.
    """

    probabilities: NDArray[np.floating]
    truth: NDArray[np.int64]
    p_values: NDArray[np.float64]
    conditional: NDArray[np.float64] | None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which are answered right, (m,)."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)

    def reliability(self) -> Reliability:
        """Confidence against what is right; there has to be an input."""
        return reliability(self.probabilities.max(axis=1), self.right)

    def sets(self, alpha: float) -> SetFigures:
        """Figures of the sets; zeros without inputs."""
        return set_figures(self.p_values, self.truth, alpha) if self.truth.size else NO_SETS

    def conditional_sets(self, alpha: float) -> SetFigures:
        """Figures of class-conditional sets; zeros where there are none."""
        if self.conditional is None or not self.truth.size:
            return NO_SETS
        return set_figures(self.conditional, self.truth, alpha)


def answered(predictor: Predictor, batch: PredictionBatch, truth: NDArray[np.str_]) -> Answered:
    """The inputs of a batch whose truth is a label of the bundle.

    Args:
        predictor: that answered.
        batch: answers for n inputs.
        truth: names, (n,).
    """
    labels = np.array(predictor.manifest.labels)
    known = np.isin(truth, labels)
    probabilities, calibration = batch.probabilities[known], predictor.calibration
    has_labels = calibration.label_set_labels is not None
    p_values = PValues(calibration)
    return Answered(
        probabilities=probabilities,
        truth=(truth[known][:, None] == labels).argmax(axis=1),
        p_values=batch.label_p_values[known],
        conditional=p_values.labels(probabilities, "class_conditional") if has_labels else None,
    )


def expected_calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """ECE over equal-width bins of the confidence in [0, 1]; 0 without any answer."""
    return reliability(confidence, right, bins).expected_error if right.size else 0.0


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
