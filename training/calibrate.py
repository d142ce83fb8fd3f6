"""Calibration on held-out inputs: temperature, densities, and the conformal samples.

Nothing here needs torch. The held-out inputs come in two parts: on the first the temperature and
the fused density are fitted; the second is fresh, so that its scores are exchangeable with those of
new inputs. Question 2 has nothing that is fitted on held-out inputs, and is calibrated on both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf

from rcmvae.calibration import Calibration, OwnedSource, ProbabilitySource, ascending
from rcmvae.label_map import LabelMap, leave_one_out
from rcmvae.ood import SCORE_NAMES, FeatureDensity, feature_density
from rcmvae.ownership import OWNERSHIP_TEMPERATURE, channel_ownership, ownership_score
from training.config import CalibrationConfig
from training.data import NO_LABEL
from training.encode import softmax

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Ownable:
    """What question 2 depends on.

    Attributes:
        label_map: evidence of the channels.
        affinity: of the channels, (K, K); no label has a part in it.
        free_mass: evidence at which a channel is half owned.
    """

    label_map: LabelMap
    affinity: NDArray[np.float64]
    free_mass: float

    @property
    def ownership(self) -> NDArray[np.float64]:
        """How far labels speak for each channel, (K,)."""
        return channel_ownership(self.affinity, self.label_map.evidence, self.free_mass)

    def score(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Scores of question 2 for channel logits (n, K)."""
        return ownership_score(softmax(logits / OWNERSHIP_TEMPERATURE), self.ownership)

    def score_left_out(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of the map's own examples at ``rows``, each without its own evidence."""
        own = self.label_map.contributions[rows]
        soft = tempered(own, OWNERSHIP_TEMPERATURE)
        evidence = self.label_map.evidence
        scores = [
            ownership_score(
                soft[[i]],
                channel_ownership(
                    self.affinity, np.maximum(evidence - own[i], 0.0), self.free_mass
                ),
            )[0]
            for i in range(len(rows))
        ]
        return np.asarray(scores, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Judged:
    """Held-out inputs as the calibration needs them.

    Attributes:
        logits: channel logits, (n, K).
        label: index into the labels, NO_LABEL where there is none, (n,).
        fused: fused scores, (n,).
        fresh: whether neither the temperature nor the fused density was fitted on it, (n,).
    """

    logits: NDArray[np.floating]
    label: NDArray[np.int64]
    fused: NDArray[np.floating]
    fresh: NDArray[np.bool_]


def probability_source(config: CalibrationConfig) -> ProbabilitySource:
    """What says how sure p(y|x) is; by leaving one out in a bundle of before there was a choice."""
    return "held_out" if config.probabilities == "held_out" else "leave_one_out"


def fit_temperature(
    logits: NDArray[np.floating], label: NDArray[np.int64], tau: NDArray[np.float64]
) -> float:
    """The temperature under which p(y|x) = softmax(a/T) tau fits labelled inputs best.

    Guo et al. 2017, with the label map between logits and labels. Bounded to [1, 8]: where the few
    held-out labels are all right, the likelihood would sharpen without end. 1 where no input
    carries a label.

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
    found = minimize_scalar(negative_log_likelihood, bounds=(0.0, bound), method="bounded")
    return float(np.exp(found.x))


def channel_means(
    values: NDArray[np.floating], channel: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Mean of values (n, F) over the inputs of every channel, (K, F).

    The overall mean where a channel is unused.
    """
    overall = values.mean(axis=0, dtype=np.float64)
    of_channel = [values[channel == k] for k in range(count)]
    return np.stack([v.mean(axis=0, dtype=np.float64) if len(v) else overall for v in of_channel])


def fit_density(
    values: NDArray[np.floating], channel: NDArray[np.int64], count: int, axes: int
) -> FeatureDensity:
    """Gaussian per channel over what the encoder says of the training stream.

    Lee et al. 2018 with channels for classes, and one covariance, shrunk by Ledoit and Wolf 2004 in
    units of each value's own standard deviation.

    Args:
        values: features or texture, (n, F).
        channel: of each input, (n,).
        count: K.
        axes: directions with a variance of their own.
    """
    means = channel_means(values, channel, count)
    spread = values.std(axis=0, dtype=np.float64)
    # A value that never varies is measured in units of the others.
    scale = np.maximum(spread, max(1e-3 * float(spread.max()), 1e-6))
    residual = (values - means[channel]) / scale
    covariance = LedoitWolf(assume_centered=True).fit(residual).covariance_
    # A floor keeps directions that the training stream never uses from dominating, and the
    # covariance invertible where no feature varies at all.
    floor = max(1e-3 * float(np.trace(covariance)) / len(covariance), 1e-9)
    return feature_density(means, covariance + floor * np.eye(len(covariance)), axes, scale)


def calibrate(
    judged: Judged, ownable: Ownable, temperature: float, config: CalibrationConfig
) -> Calibration:
    """Collect the three conformal samples.

    Args:
        judged: held-out inputs. Nothing of question 2 is fitted on any of them; the sample of
            question 1 takes the fresh ones alone, and so does that of the prediction sets where
            the others chose the temperature.
        ownable: the final map, and the channels' affinity.
        temperature: divides the logits.
        config: which source question 2 uses, and the default alpha.
    """
    label_map = ownable.label_map
    source: OwnedSource = "leave_one_out"
    known = judged.label != NO_LABEL
    stand_in = np.ones(len(label_map.ids), dtype=bool)
    sample = _Sample(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
    if config.owned_source == "held_out" and known.any():
        # Where no held-out label had a part in the temperature, they all may calibrate the sets.
        unseen = judged.fresh | (probability_source(config) == "leave_one_out")
        sample = _held_out_sample(judged, ownable, temperature, unseen)
        stand_in = ~np.isin(label_map.contribution_labels, judged.label[known])
        source = "mixed" if stand_in.any() else "held_out"
    own = _left_out_sample(ownable, temperature, stand_in)
    label_set = np.concatenate([sample.label_set, own.label_set])
    order = np.argsort(label_set, kind="stable")
    return Calibration(
        temperature=temperature,
        alpha0=label_map.alpha0,
        alpha=config.alpha,
        free_mass=config.free_mass,
        score_names=SCORE_NAMES,
        owned_source=source,
        fused=ascending(judged.fused[judged.fresh]),
        owned=ascending(np.concatenate([sample.owned, own.owned])),
        label_set=ascending(label_set),
        label_set_labels=tuple(np.concatenate([sample.label, own.label])[order].tolist()),
        coverage=config.coverage,
        probability_source=probability_source(config),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """Scores of question 2; scores of the prediction sets, and the label of each of these."""

    owned: NDArray[np.float64]
    label_set: NDArray[np.float64]
    label: NDArray[np.int64]


def _held_out_sample(
    judged: Judged, ownable: Ownable, temperature: float, unseen: NDArray[np.bool_]
) -> _Sample:
    """Scores of the held-out inputs that carry a label; for the sets, of the unseen among them."""
    known = judged.label != NO_LABEL
    label = judged.label[known & unseen]
    probability = softmax(judged.logits[known & unseen] / temperature) @ ownable.label_map.tau
    right = probability[np.arange(len(label)), label]
    return _Sample(ownable.score(judged.logits[known]), 1.0 - right, label)


def _left_out_sample(ownable: Ownable, temperature: float, chosen: NDArray[np.bool_]) -> _Sample:
    """Scores of the map's own examples, each judged by the map without it.

    They stand in for held-out inputs: of all labels where none can be spared, and of a label that
    was added later.
    """
    label_map = ownable.label_map
    r = tempered(label_map.contributions, temperature)
    without = leave_one_out(label_map, r)
    label = label_map.contribution_labels
    right = without[np.arange(len(r)), label]
    owned = ownable.score_left_out(np.flatnonzero(chosen))
    return _Sample(owned, 1.0 - right[chosen], label[chosen])


def tempered(responsibilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Responsibilities at another temperature, (n, K): a power of them, renormalised."""
    power = responsibilities ** (1.0 / temperature)
    scaled: NDArray[np.float64] = power / np.maximum(power.sum(axis=1, keepdims=True), _TINY)
    return scaled
