"""What one request is answered: the predictions of its rows, and what it chose to see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from rcmvae.calibration import Coverage
from rcmvae.decision import Decision
from rcmvae.prediction import PredictionBatch
from service.include import Part


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

    def members(self) -> dict[str, object]:
        """As members of a JSON object."""
        return {
            "bundle_version": self.bundle_version,
            "alpha": self.alpha,
            "coverage": self.coverage,
            "fdr": self.fdr,
        }

    def texts(self) -> dict[str, str]:
        """As the metadata of a schema; what is None is left out."""
        return {name: str(value) for name, value in self.members().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for N inputs, before it is written in one format or another.

    Attributes:
        header: what holds for all of them.
        batch: N predictions.
        labels: the N most probable labels.
        decisions: N decisions.
        ids: N prediction ids.
        parts: the optional parts to write.
    """

    header: Header
    batch: PredictionBatch
    labels: Sequence[str]
    decisions: Sequence[Decision]
    ids: Sequence[str]
    parts: frozenset[Part]


def encode_records(answer: Answer) -> bytes:
    """`schemas.PredictAnswer` as JSON, one record an input; a value not finite becomes null.

    Written out member by member: this is most of what a small request costs in Python.
    """
    batch, parts = answer.batch, answer.parts
    records = [
        {
            "prediction_id": name,
            "label": label,
            "ood": {"decision": decision, "p_familiar": familiar, "p_owned": owned},
            "channel": channel,
        }
        for name, label, decision, familiar, owned, channel in zip(
            answer.ids,
            answer.labels,
            answer.decisions,
            batch.p_familiar.tolist(),
            batch.p_owned.tolist(),
            batch.channel.tolist(),
            strict=True,
        )
    ]
    if Part.SCORES in parts:
        for record, row in zip(records, batch.scores.tolist(), strict=True):
            record["ood"]["scores"] = dict(zip(batch.score_names, row, strict=True))
    for name, column in _optional_columns(answer).items():
        for record, value in zip(records, column, strict=True):
            record[name] = value
    return orjson.dumps({**answer.header.members(), "predictions": records})


def _optional_columns(answer: Answer) -> dict[str, list[object]]:
    batch, parts = answer.batch, answer.parts
    columns: dict[str, list[object]] = {}
    if Part.PROBABILITIES in parts:
        columns["probabilities"] = named(batch.labels, batch.probabilities.tolist())
    if Part.PREDICTION_SET in parts:
        columns["prediction_set"] = list(prediction_sets(answer))
    if Part.UNCERTAINTY in parts:
        columns["uncertainty"] = _uncertainty(batch)
    if Part.POSITION in parts:
        columns["position"] = batch.position.tolist()
    if Part.RESPONSIBILITIES in parts:
        columns["responsibilities"] = batch.responsibilities.tolist()
    if batch.sampled is not None:
        columns["sampled"] = _sampled(batch)
    return columns


def named(names: Sequence[str], rows: Sequence[Sequence[float]]) -> list[object]:
    """Every row as an object with these names."""
    return [dict(zip(names, row, strict=True)) for row in rows]


def prediction_sets(answer: Answer) -> list[list[str]]:
    """The labels that cannot be rejected at the answer's alpha, for every input."""
    kept = (answer.batch.label_p_values > answer.header.alpha).tolist()
    labels = answer.batch.labels
    return [[label for label, keep in zip(labels, row, strict=True) if keep] for row in kept]


def _uncertainty(batch: PredictionBatch) -> list[object]:
    parts = batch.uncertainty
    columns: dict[str, list[float]] = {
        "total": parts.total.tolist(),
        "aleatoric": parts.aleatoric.tolist(),
        "channel_ambiguity": parts.channel_ambiguity.tolist(),
        "label_map_ignorance": parts.label_map_ignorance.tolist(),
    }
    if batch.observation_noise is not None:
        columns["observation_noise"] = batch.observation_noise.tolist()
    return _records(columns)


def _sampled(batch: PredictionBatch) -> list[object]:
    sampled = batch.sampled
    if sampled is None:
        return []
    columns: dict[str, Sequence[object]] = {
        "total": sampled.total.tolist(),
        "expected": sampled.expected.tolist(),
        "mutual_information": sampled.mutual_information.tolist(),
        "probabilities": named(batch.labels, sampled.probabilities.tolist()),
    }
    return _records(columns)


def _records(columns: Mapping[str, Sequence[object]]) -> list[object]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
