"""From a batch of predictions to the JSON of POST /predict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from rcmvae.calibration import Coverage
from rcmvae.decision import Decision, prediction_set
from rcmvae.prediction import PredictionBatch
from rcmvae.sampled import SampledUncertainty
from service.include import Part

_Column = list[object]


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for all predictions of an answer.

    Attributes:
        bundle_version: of the bundle that answered all of them.
        alpha: false-alarm rate of the decisions, and miscoverage of the prediction sets.
        coverage: of the prediction sets.
        fdr: false discovery rate of the decisions in alpha's place; None where alpha decided.
    """

    bundle_version: str
    alpha: float
    coverage: Coverage
    fdr: float | None = None


def encode_answer(
    header: Header,
    batch: PredictionBatch,
    decisions: Sequence[Decision],
    ids: Sequence[str],
    parts: frozenset[Part],
) -> bytes:
    """The answer for N inputs, `schemas.PredictAnswer` as JSON; a value not finite becomes null.

    Args:
        header: what holds for all of them.
        batch: N predictions.
        decisions: N decisions.
        ids: N prediction ids.
        parts: the optional parts to write.
    """
    columns: dict[str, Sequence[object]] = {
        "prediction_id": ids,
        "label": batch.predicted,
        "ood": _ood(batch, decisions, Part.SCORES in parts),
        "channel": batch.channel.tolist(),
    }
    columns |= {p.value: fill(batch, header.alpha) for p, fill in _OPTIONAL.items() if p in parts}
    if batch.sampled is not None:
        columns["sampled"] = _sampled(batch.labels, batch.sampled)
    return orjson.dumps({**asdict(header), "predictions": _records(columns)})


def _records(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _ood(batch: PredictionBatch, decisions: Sequence[Decision], with_scores: bool) -> _Column:
    columns: dict[str, Sequence[object]] = {
        "decision": decisions,
        "p_familiar": batch.p_familiar.tolist(),
        "p_owned": batch.p_owned.tolist(),
    }
    if with_scores:
        columns["scores"] = _named(batch.score_names, batch.scores.tolist())
    return list(_records(columns))


def _named(names: Sequence[str], rows: Sequence[Sequence[float]]) -> _Column:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _probabilities(batch: PredictionBatch, _: float) -> _Column:
    return _named(batch.labels, batch.probabilities.tolist())


def _prediction_sets(batch: PredictionBatch, alpha: float) -> _Column:
    return [prediction_set(batch.labels, row, alpha) for row in batch.label_p_values]


def _uncertainty(batch: PredictionBatch, _: float) -> _Column:
    parts = batch.uncertainty
    columns = {
        "total": parts.total.tolist(),
        "aleatoric": parts.aleatoric.tolist(),
        "channel_ambiguity": parts.channel_ambiguity.tolist(),
        "label_map_ignorance": parts.label_map_ignorance.tolist(),
    }
    if batch.observation_noise is not None:
        columns["observation_noise"] = batch.observation_noise.tolist()
    return list(_records(columns))


def _sampled(labels: Sequence[str], sampled: SampledUncertainty) -> _Column:
    columns: dict[str, Sequence[object]] = {
        "total": sampled.total.tolist(),
        "expected": sampled.expected.tolist(),
        "mutual_information": sampled.mutual_information.tolist(),
        "probabilities": _named(labels, sampled.probabilities.tolist()),
    }
    return list(_records(columns))


def _positions(batch: PredictionBatch, _: float) -> _Column:
    return list(batch.position.tolist())


def _responsibilities(batch: PredictionBatch, _: float) -> _Column:
    return list(batch.responsibilities.tolist())


_OPTIONAL: Mapping[Part, Callable[[PredictionBatch, float], _Column]] = {
    Part.PROBABILITIES: _probabilities,
    Part.PREDICTION_SET: _prediction_sets,
    Part.UNCERTAINTY: _uncertainty,
    Part.POSITION: _positions,
    Part.RESPONSIBILITIES: _responsibilities,
}
