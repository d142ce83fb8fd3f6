"""An answer by columns: the names and groups of a record, with all inputs' values in each leaf."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from service.answer import Answer, prediction_sets
from service.include import Part

Column: TypeAlias = NDArray[Any] | list[str] | list[list[str]]
Columns: TypeAlias = Mapping[str, "Column | Columns"]
"""Columns by name; a mapping of them is a group."""


def columns_of(answer: Answer) -> Columns:
    """The columns of an answer for N inputs; arrays (N,) or (N, k), in C order."""
    batch, parts = answer.batch, answer.parts
    ood: dict[str, Column | Columns] = {
        "decision": [str(decision) for decision in answer.decisions],
        "p_familiar": batch.p_familiar,
        "p_owned": batch.p_owned,
    }
    if Part.SCORES in parts:
        ood["scores"] = _by_name(batch.score_names, batch.scores)
    columns: dict[str, Column | Columns] = {
        "prediction_id": list(answer.ids),
        "label": list(answer.labels),
        "ood": ood,
        "channel": batch.channel,
    }
    if Part.PROBABILITIES in parts:
        columns["probabilities"] = _by_name(batch.labels, batch.probabilities)
    if Part.PREDICTION_SET in parts:
        columns["prediction_set"] = prediction_sets(answer)
    if Part.UNCERTAINTY in parts:
        columns["uncertainty"] = _uncertainty(answer)
    if Part.POSITION in parts:
        columns["position"] = np.ascontiguousarray(batch.position)
    if Part.RESPONSIBILITIES in parts:
        columns["responsibilities"] = np.ascontiguousarray(batch.responsibilities)
    if batch.sampled is not None:
        columns["sampled"] = {
            "total": batch.sampled.total,
            "expected": batch.sampled.expected,
            "mutual_information": batch.sampled.mutual_information,
            "probabilities": _by_name(batch.labels, batch.sampled.probabilities),
        }
    return columns


def encode_columns(answer: Answer) -> bytes:
    """`column_schemas.PredictColumnsAnswer` as JSON; a value not finite becomes null."""
    document = {**answer.header.members(), "columns": columns_of(answer)}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _by_name(names: tuple[str, ...], rows: NDArray[Any]) -> Columns:
    return dict(zip(names, np.ascontiguousarray(rows.T), strict=True))


def _uncertainty(answer: Answer) -> Columns:
    parts, noise = answer.batch.uncertainty, answer.batch.observation_noise
    columns: dict[str, Column | Columns] = {
        "total": parts.total,
        "aleatoric": parts.aleatoric,
        "channel_ambiguity": parts.channel_ambiguity,
        "label_map_ignorance": parts.label_map_ignorance,
    }
    return columns if noise is None else {**columns, "observation_noise": noise}
