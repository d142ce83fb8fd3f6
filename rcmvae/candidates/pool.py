"""The inputs among which to choose what to label next, and what the model says of them."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rcmvae.label_map import LabelMap, expected_entropy
from rcmvae.ownership import OWNERSHIP_TEMPERATURE
from rcmvae.prediction import PredictionBatch
from rcmvae.uncertainty import decompose


@dataclass(frozen=True, slots=True)
class Pool:
    """N inputs; row i of every array belongs to input i.

    Attributes:
        key: distinct numbers; of two inputs that are as good the lower one is chosen, so that the
            order of the rows has no say, int64 (N,).
        responsibilities: r, rows sum to one, (N, K).
        probabilities: p(y|x), rows sum to one, (N, C).
        epistemic: what labels could still tell about the label, in nats, (N,).
        latent: where the input lies; what is near looks alike, (N, D).
        p_familiar: conformal p-value of question 1, (N,).
        p_owned: conformal p-value of question 2, (N,).
        labelled: whether it carries a label already, bool (N,). It is never chosen again, and
            what lies beside it needs no label as urgently.
        tau: the label map, rows sum to one, (K, C).
        evidence: labelled mass of every channel, in examples, (K,).
    """

    key: NDArray[np.int64]
    responsibilities: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    epistemic: NDArray[np.float64]
    latent: NDArray[np.float64]
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    tau: NDArray[np.float64]
    evidence: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.key.size)

    @property
    def channel(self) -> NDArray[np.int64]:
        """The most responsible channel, (N,)."""
        return np.asarray(self.responsibilities.argmax(axis=1), dtype=np.int64)

    @property
    def open(self) -> int:
        """How many inputs carry no label yet."""
        return int((~self.labelled).sum())

    def take(self, rows: NDArray[np.int64]) -> "Pool":
        """The pool of these rows, in this order."""
        of_channels = {"tau", "evidence"}
        return Pool(
            **{
                field.name: getattr(self, field.name)
                if field.name in of_channels
                else getattr(self, field.name)[rows]
                for field in fields(self)
            }
        )


def pool_of(
    batch: PredictionBatch,
    label_map: LabelMap,
    key: NDArray[np.int64],
    labelled: NDArray[np.bool_],
) -> Pool:
    """A pool of predictions, judged by a label map.

    The map may hold more labels than the one behind the predictions: only what does not depend on
    labels is taken from those, and the p-values.

    Args:
        batch: N predictions.
        label_map: over the same channels.
        key: see ``Pool``, (N,).
        labelled: see ``Pool``, (N,).
    """
    r = batch.responsibilities.astype(np.float64)
    counts, floor, tau = label_map.counts, label_map.floor, label_map.tau
    return Pool(
        key=key,
        responsibilities=r,
        probabilities=r @ tau,
        epistemic=np.asarray(decompose(r, tau, expected_entropy(counts, floor)).epistemic),
        latent=latent_of(r, batch.position),
        p_familiar=batch.p_familiar,
        p_owned=batch.p_owned,
        labelled=labelled,
        tau=tau,
        evidence=label_map.evidence,
    )


def latent_of(
    responsibilities: NDArray[np.float64], position: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Where inputs lie, (N, K + 2): by the channels that they share, and within their channel.

    Square roots of softened responsibilities, whose distance is that of Hellinger and at most
    sqrt(2), and the place in the picture in units of its spread.

    Args:
        responsibilities: r, (N, K).
        position: in the 2-D picture, (N, 2).
    """
    spread = position.std(axis=0) if len(position) else np.ones(2)
    place = position / np.maximum(spread, np.finfo(np.float32).eps)
    return np.concatenate([np.sqrt(softened(responsibilities)), place], axis=1)


def softened(responsibilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Responsibilities at OWNERSHIP_TEMPERATURE, (N, K): routing is too sure to show a doubt."""
    power = responsibilities ** (1.0 / OWNERSHIP_TEMPERATURE)
    return np.asarray(power / power.sum(axis=1, keepdims=True))
