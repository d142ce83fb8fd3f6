"""The gate: a candidate must not be worse than its parent on the frozen golden set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.errors import GateRefused
from rcmvae.predictor import Predictor
from training.data import NO_LABEL
from training.draft import FITTED_ACCURACY, read_golden
from training.evaluate import predict_all


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What the gate allows.

    Attributes:
        accuracy_drop: largest drop of the accuracy on the golden set below the parent's.
        total_drop: largest drop below the accuracy right after the last fit or refit, so that many
            small losses do not add up unseen.
        class_drop: largest drop of any one class's recall, beyond one example.
    """

    accuracy_drop: float = 0.01
    total_drop: float = 0.02
    class_drop: float = 0.1


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate saw.

    Attributes:
        parent_accuracy: of the parent on the golden set.
        candidate_accuracy: of the candidate.
        examples: labelled golden inputs.
    """

    parent_accuracy: float
    candidate_accuracy: float
    examples: int


def require_gate(parent: Bundle, candidate: Bundle, config: GateConfig) -> GateResult:
    """Compare a candidate with its parent.

    Raises:
        GateRefused: accuracy or a class's recall drops by more than allowed, or the golden set is
            not the parent's.
    """
    if parent.manifest.files[GOLDEN] != candidate.manifest.files[GOLDEN]:
        raise GateRefused("golden set: expected the parent's, byte for byte, got another")
    golden = read_golden(parent.read(GOLDEN)).examples
    known = golden.y != NO_LABEL
    if not known.any():
        raise GateRefused("golden set: expected labelled inputs to judge by, got none")
    truth = np.array(parent.manifest.labels)[golden.y[known]]
    before = _right(parent, golden.x[known], truth)
    after = _right(candidate, golden.x[known], truth)
    result = GateResult(float(before.mean()), float(after.mean()), int(known.sum()))
    _require_accuracy(parent, result, config)
    _require_classes(truth, before, after, config)
    return result


def _require_accuracy(parent: Bundle, result: GateResult, config: GateConfig) -> None:
    fitted = parent.manifest.metrics.get(FITTED_ACCURACY, 0.0)
    floor = max(result.parent_accuracy - config.accuracy_drop, fitted - config.total_drop)
    if result.candidate_accuracy < floor:
        raise GateRefused(
            f"golden accuracy: expected at least {floor:.4f}, got {result.candidate_accuracy:.4f}"
        )


def _right(bundle: Bundle, x: NDArray[np.float32], truth: NDArray[np.str_]) -> NDArray[np.bool_]:
    predicted = np.array(predict_all(Predictor.open(bundle), x).predicted)
    return np.asarray(predicted == truth)


def _require_classes(
    truth: NDArray[np.str_],
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    config: GateConfig,
) -> None:
    for label in np.unique(truth).tolist():
        own = truth == label
        allowed = max(1.0, config.class_drop * float(own.sum()))
        lost = int(before[own].sum()) - int(after[own].sum())
        if lost > allowed:
            raise GateRefused(
                f"label {label!r}: expected at most {allowed:g} golden inputs lost, got {lost}"
            )
