"""One seed of the out-of-distribution benchmark: ours and the peers on the same sets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy.stats import betabinom, binom

from benchmarks.fitted import Fitted
from benchmarks.outliers import Outliers, outlier_sets
from benchmarks.peers.post_hoc import look, post_hoc
from benchmarks.peers.supervised_cnn import SupervisedCnn
from benchmarks.run_options import source_of
from benchmarks.separation import separation
from rcmvae.decision import Decision, decide
from rcmvae.errors import DataError
from rcmvae.prediction import PredictionBatch
from training.data import Dataset, Examples, load_source
from training.evaluate import predict_all

ALPHAS = (0.01, 0.05)
DIGIT_SOURCES = ("mnist", "digits")
PEER_TRAINED = 5000
"""Trained inputs that the peers' scores are fitted on, at the most."""

Scores = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        other: name of another source, or None.
        inputs: of each set, at the most.
        peers: ``few`` and ``all``, after the labels that the CNN gets.
        cnn_steps: of its optimiser.
    """

    other: str | None
    inputs: int
    peers: tuple[str, ...]
    cnn_steps: int

    def shown(self) -> JsonValue:
        """For a result."""
        return {
            "other": self.other,
            "inputs": self.inputs,
            "peers": list(self.peers),
            "cnn_steps": self.cnn_steps,
        }


@dataclass(frozen=True, slots=True)
class Misses:
    """The inputs of one set that look most familiar.

    Attributes:
        x: images, the most familiar first, (m, 1, side, side).
        p_familiar: their p-values, (m,).
    """

    x: NDArray[np.float32]
    p_familiar: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one seed gave.

    Attributes:
        figures: by name; of a set's score: set/score/figure.
        misses: by set.
    """

    figures: Mapping[str, float]
    misses: Mapping[str, Misses]


def measure_ood(fitted: Fitted, plan: Plan) -> Measured:
    """Measure one fitted model."""
    test, sets = fitted.dataset.test, _sets(fitted, plan)
    own = predict_all(fitted.predictor, test.x)
    answers = {name: predict_all(fitted.predictor, part.x) for name, part in sets.items()}
    figures = _false_alarms(own, len(fitted.predictor.calibration.fused))
    # The same familiar inputs as for the peers.
    familiar = {name: values[-plan.inputs :] for name, values in _scores(own).items()}
    figures |= _separations(familiar, {name: _scores(answer) for name, answer in answers.items()})
    targeted = [name for name, part in sets.items() if part.targeted]
    figures["worst_auroc"] = min(figures[f"{name}/fused/auroc"] for name in targeted)
    figures["worst_fpr95"] = max(figures[f"{name}/fused/fpr95"] for name in targeted)
    for alpha in ALPHAS:
        for name, answer in answers.items():
            decisions = decide(answer.p_familiar, answer.p_owned, alpha)
            strange = [d is Decision.OUT_OF_DISTRIBUTION for d in decisions]
            figures[f"{name}/detected_at_{alpha}"] = float(np.mean(strange))
    for peer in plan.peers:
        figures |= _peer(peer, fitted, sets, plan)
    return Measured(figures, {n: _misses(sets[n], answer) for n, answer in answers.items()})


def _sets(fitted: Fitted, plan: Plan) -> dict[str, Outliers]:
    """All sets; those with a fault come from the end of the test part."""
    dataset, seed = fitted.dataset, fitted.run.seed
    test = Examples(dataset.test.x[-plan.inputs :], dataset.test.y[-plan.inputs :])
    other = None if plan.other is None else _other(plan.other, dataset.shape, plan.inputs)
    digits = Path(fitted.run.data.source).name in DIGIT_SOURCES
    return outlier_sets(test, other, seed, digits=digits)


def _other(name: str, shape: tuple[int, ...], count: int) -> NDArray[np.float32]:
    source = load_source(source_of(name))
    x = (source.train if source.test is None else source.test).x[:count]
    if x.shape[1:] != shape:
        raise DataError(f"--other {name}: expected images of shape {shape}, got {x.shape[1:]}")
    return x


def _scores(answer: PredictionBatch) -> Scores:
    return dict(zip(answer.score_names, answer.scores.T, strict=True))


def _separations(own: Scores, others: Mapping[str, Scores], prefix: str = "") -> dict[str, float]:
    return {
        f"{name}/{prefix}{score}/{figure}": value
        for name, scores in others.items()
        for score, values in scores.items()
        for figure, value in separation(own[score], values).figures().items()
    }


def _false_alarms(own: PredictionBatch, calibrated: int) -> dict[str, float]:
    """Share of test inputs flagged: by question 1 alone at alpha, and by the decision.

    Beside it, the central 95 % interval of the binomial at alpha, and that of a test sample judged
    by this many calibration inputs: the rate varies with both samples, and is then beta-binomial
    (Angelopoulos and Bates 2023, section 3.2).
    """
    figures: dict[str, float] = {}
    count = len(own)
    for alpha in ALPHAS:
        alarms = float(np.mean(own.p_familiar <= alpha))
        decisions = decide(own.p_familiar, own.p_owned, alpha)
        low, high = (float(binom.ppf(q, count, alpha)) / count for q in (0.025, 0.975))
        rank = int(np.floor(alpha * (calibrated + 1)))
        wide = [
            float(betabinom.ppf(q, count, rank, calibrated + 1 - rank)) / count if rank else 0.0
            for q in (0.025, 0.975)
        ]
        figures |= {
            f"question_1_alarms_at_{alpha}": alarms,
            f"question_1_inside_at_{alpha}": float(wide[0] <= alarms <= wide[1]),
            f"false_alarms_at_{alpha}": float(
                np.mean([d is not Decision.KNOWN for d in decisions])
            ),
            f"binomial_low_at_{alpha}": low,
            f"binomial_high_at_{alpha}": high,
            f"calibrated_low_at_{alpha}": wide[0],
            f"calibrated_high_at_{alpha}": wide[1],
        }
    return figures


def _peer(kind: str, fitted: Fitted, sets: Mapping[str, Outliers], plan: Plan) -> dict[str, float]:
    dataset = _all_labels(fitted) if kind == "all" else fitted.dataset
    network = SupervisedCnn(steps=plan.cnn_steps).fitted(dataset, fitted.run)
    trained = dataset.labelled
    scores = post_hoc(network, Examples(trained.x[:PEER_TRAINED], trained.y[:PEER_TRAINED]))
    own = scores.scores(look(network, dataset.test.x[-plan.inputs :]))
    others = {name: scores.scores(look(network, part.x)) for name, part in sets.items()}
    return _separations(own, others, f"cnn_{kind}_")


def _all_labels(fitted: Fitted) -> Dataset:
    """The split with a label on every input of the fit, and all classes known."""
    dataset = fitted.dataset
    source = load_source(fitted.run.data.source)
    y = source.train.y[dataset.split.unlabelled]
    labelled = Examples(source.train.x[dataset.split.unlabelled], y)
    return replace(dataset, labels=source.labels, labelled=labelled)


def _misses(part: Outliers, answer: PredictionBatch, count: int = 12) -> Misses:
    fused = answer.scores[:, answer.score_names.index("fused")]
    first = np.argsort(fused, kind="stable")[:count]
    return Misses(part.x[first], answer.p_familiar[first])
