"""What the model says about a batch of inputs, before anybody chooses an alpha."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcmvae.sampled import SampledUncertainty
from rcmvae.uncertainty import Uncertainty


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Answers for N inputs; row i of every array belongs to input i.

    Attributes:
        labels: names of the C columns of ``probabilities`` and ``label_p_values``.
        probabilities: p(y|x), float32 (N, C), rows sum to one.
        responsibilities: q(c|x), float32 (N, K), rows sum to one.
        channel: the most responsible channel, int64 (N,).
        position: where the input lies in the 2-D picture, float32 (N, 2).
        uncertainty: total and its parts, in nats.
        score_names: names of the S columns of ``scores``.
        scores: out-of-distribution scores, float32 (N, S), higher is stranger.
        p_familiar: conformal p-value of "like the training stream", float64 (N,), in (0, 1].
        p_owned: conformal p-value of "owned by labelled channels", float64 (N,), in (0, 1].
        label_p_values: conformal p-value of every label, float64 (N, C), in (0, 1].
        observation_noise: root mean square of the standard deviation that the best channel's
            decoder gives x, in units of what is decoded, (N,); None where it has none.
        sampled: uncertainty by sampling, where it was asked for.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    responsibilities: NDArray[np.float32]
    channel: NDArray[np.int64]
    position: NDArray[np.float32]
    uncertainty: Uncertainty
    score_names: tuple[str, ...]
    scores: NDArray[np.float32]
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]
    label_p_values: NDArray[np.float64]
    observation_noise: NDArray[np.float32] | None = None
    sampled: SampledUncertainty | None = None

    def __len__(self) -> int:
        return int(self.channel.shape[0])

    @property
    def predicted(self) -> list[str]:
        """The most probable label of every input."""
        return [self.labels[i] for i in self.probabilities.argmax(axis=1)]

    def rows(self, start: int, end: int) -> "PredictionBatch":
        """The answers for inputs ``start`` to ``end``, the latter excluded; views, no copies.

        Sampled uncertainty is not taken along: draws are made for a batch as a whole.
        """
        parts = self.uncertainty
        noise = self.observation_noise
        return PredictionBatch(
            labels=self.labels,
            probabilities=self.probabilities[start:end],
            responsibilities=self.responsibilities[start:end],
            channel=self.channel[start:end],
            position=self.position[start:end],
            uncertainty=Uncertainty(
                parts.total[start:end],
                parts.aleatoric[start:end],
                parts.channel_ambiguity[start:end],
                parts.label_map_ignorance[start:end],
            ),
            score_names=self.score_names,
            scores=self.scores[start:end],
            p_familiar=self.p_familiar[start:end],
            p_owned=self.p_owned[start:end],
            label_p_values=self.label_p_values[start:end],
            observation_noise=None if noise is None else noise[start:end],
        )

    @classmethod
    def concatenate(cls, parts: Sequence["PredictionBatch"]) -> "PredictionBatch":
        """Join batches that answer the same questions, of which there is at least one."""
        first = parts[0]
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if isinstance(getattr(first, field.name), np.ndarray)
        }
        sampled = [part.sampled for part in parts if part.sampled is not None]
        return cls(
            labels=first.labels,
            score_names=first.score_names,
            uncertainty=Uncertainty(*_joined(Uncertainty, [part.uncertainty for part in parts])),
            sampled=SampledUncertainty(*_joined(SampledUncertainty, sampled)) if sampled else None,
            **columns,
        )


def _joined(
    kind: type[Uncertainty | SampledUncertainty],
    parts: Sequence[Uncertainty | SampledUncertainty],
) -> Iterator[NDArray[Any]]:
    """Every field of the parts, one after another."""
    for field in fields(kind):
        yield np.concatenate([getattr(part, field.name) for part in parts])
