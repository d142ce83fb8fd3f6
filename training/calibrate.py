"""Calibration on held-out inputs: temperature, densities, and the conformal samples.

Nothing here needs torch. The held-out inputs come in two parts: on the first the temperature and
the fused density are fitted, the second only calibrates, so that its scores are exchangeable
with those of new inputs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf

from rcmvae.calibration import Calibration, ascending
from rcmvae.label_map import LabelMap, leave_one_out, ownership_score
from rcmvae.ood import SCORE_NAMES, FeatureDensity, whitener
from training.config import CalibrationConfig
from training.data import NO_LABEL
from training.encode import Encoded, softmax

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out inputs as the calibration needs them.

    Attributes:
        logits: channel logits, (n, K).
        label: index into the labels, NO_LABEL where there is none, (n,).
        fused: fused scores, (n,).
    """

    logits: NDArray[np.floating]
    label: NDArray[np.int64]
    fused: NDArray[np.floating]


def fit_temperature(
    logits: NDArray[np.floating], label: NDArray[np.int64], tau: NDArray[np.float64]
) -> float:
    """The temperature under which p(y|x) = softmax(a/T) tau fits labelled inputs best.

    Guo et al. 2017, with the label map between logits and labels. Bounded to [1/8, 8]; 1 where
    no input carries a label.

    Args:
        logits: (n, K).
        label: (n,), NO_LABEL where there is none.
        tau: (K, C).
    """
    known = label != NO_LABEL
    if not known.any():
        return 1.0

    def negative_log_likelihood(log_temperature: float) -> float:
        probability = softmax(logits[known] / np.exp(log_temperature)) @ tau
        return float(-np.log(probability[np.arange(known.sum()), label[known]] + _TINY).mean())

    bound = float(np.log(8.0))
    found = minimize_scalar(negative_log_likelihood, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))


def channel_means(encoded: Encoded) -> NDArray[np.float64]:
    """Mean features of every channel, (K, F); the overall mean where a channel is unused."""
    count = encoded.logits.shape[1]
    overall = encoded.features.mean(axis=0, dtype=np.float64)
    of_channel = [encoded.features[encoded.channel == k] for k in range(count)]
    return np.stack([f.mean(axis=0, dtype=np.float64) if len(f) else overall for f in of_channel])


def fit_feature_density(encoded: Encoded) -> FeatureDensity:
    """Gaussian per channel over the features of the training stream, one shrunk covariance.

    Lee et al. 2018 with channels for classes; shrinkage by Ledoit and Wolf 2004.
    """
    means = channel_means(encoded)
    residual = encoded.features - means[encoded.channel]
    covariance = LedoitWolf(assume_centered=True).fit(residual).covariance_
    # A floor keeps directions that the training stream never uses from dominating.
    floor = 1e-3 * np.trace(covariance) / len(covariance)
    return FeatureDensity(means, whitener(covariance + floor * np.eye(len(covariance))))


def calibrate(
    judged: Judged, label_map: LabelMap, temperature: float, config: CalibrationConfig
) -> Calibration:
    """Collect the three conformal samples.

    Args:
        judged: held-out inputs that neither the fit nor the densities have seen.
        label_map: the final map.
        temperature: divides the logits.
        config: which source question 2 uses, and the default alpha.
    """
    known = judged.label != NO_LABEL
    held_out = config.owned_source == "held_out" and bool(known.any())
    owned, label_set = _from_map(label_map, temperature)
    if held_out:
        owned, label_set = _from_held_out(judged, label_map, temperature, known)
    return Calibration(
        temperature=temperature,
        alpha0=label_map.alpha0,
        alpha=config.alpha,
        free_mass=config.free_mass,
        score_names=SCORE_NAMES,
        owned_source="held_out" if held_out else "leave_one_out",
        fused=ascending(judged.fused),
        owned=ascending(owned),
        label_set=ascending(label_set),
    )


def _from_held_out(
    judged: Judged, label_map: LabelMap, temperature: float, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ownership and label-set scores of held-out inputs, joined by labels that have none there.

    A label that was added later has no held-out input. Its own examples stand in, each judged by
    the map without it.
    """
    r = softmax(judged.logits[known] / temperature)
    tau = label_map.tau
    probability = (r @ tau)[np.arange(len(r)), judged.label[known]]
    absent = ~np.isin(label_map.contribution_labels, judged.label[known])
    owned, label_set = _from_map(label_map, temperature, absent)
    return (
        np.concatenate([ownership_score(r, tau), owned]),
        np.concatenate([1.0 - probability, label_set]),
    )


def _from_map(
    label_map: LabelMap, temperature: float, rows: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave-one-out ownership and label-set scores of the map's own examples (or some of them)."""
    chosen = np.ones(len(label_map.ids), dtype=bool) if rows is None else rows
    # Contributions are responsibilities at temperature one; tempering a distribution is a power.
    tempered = label_map.contributions ** (1.0 / temperature)
    r = tempered / np.maximum(tempered.sum(axis=1, keepdims=True), _TINY)
    without = leave_one_out(label_map, r)
    probability = without[np.arange(len(r)), label_map.contribution_labels]
    return ownership_left_out(label_map, r)[chosen], 1.0 - probability[chosen]


def ownership_left_out(
    label_map: LabelMap, responsibilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ownership score of every example under the map without it, (n,)."""
    scores = [
        ownership_score(responsibilities[i : i + 1], label_map.withdraw([name]).tau)[0]
        for i, name in enumerate(label_map.ids)
    ]
    return np.asarray(scores)
