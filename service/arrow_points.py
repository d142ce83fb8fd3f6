"""Points as an Arrow IPC stream: one record batch, its text columns dictionary-encoded.

Imported where it is needed: pyarrow takes 27 MB of a worker.
"""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rcmvae.decision import Decision
from service.points import Points, Source


def encode_points(
    points: Points, decisions: Sequence[Decision], version: str, labels: Sequence[str]
) -> bytes:
    """The stream for N points.

    Args:
        points: their ``predicted`` indexes ``labels``.
        decisions: N decisions.
        version: of the bundle that judged them.
        labels: of that bundle.
    """
    scores = points.scores
    columns: dict[str, pa.Array] = {
        "point_id": pa.array(points.ids, pa.utf8()),
        "source": _named(points.source, list(Source)),
        "x": pa.array(scores["x"]),
        "y": pa.array(scores["y"]),
        "label": pa.array(points.label, pa.utf8()).dictionary_encode(),
        "predicted": _indexed(scores["predicted"], labels),
        "channel": pa.array(scores["channel"]),
        **{n: pa.array(scores[n]) for n in ("total", "aleatoric", "epistemic")},
        **{n: pa.array(scores[n].astype(np.float32)) for n in ("p_familiar", "p_owned")},
        "decision": _named(decisions, list(Decision)),
        "created": pa.array(points.created // 1000, pa.timestamp("ms", tz="UTC")),
        "bundle_version": pa.array(points.bundle_version, pa.utf8()).dictionary_encode(),
    }
    metadata = {"bundle_version": version, "labels": json.dumps(list(labels))}
    batch = pa.RecordBatch.from_pydict(columns, metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _named(values: Sequence[str], names: Sequence[str]) -> pa.DictionaryArray:
    """Values of a small fixed set."""
    place = {name: i for i, name in enumerate(names)}
    return _indexed(np.array([place[value] for value in values], dtype=np.int32), names)


def _indexed(index: NDArray[np.int32], names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(
        pa.array(index, pa.int32()), pa.array([str(name) for name in names], pa.utf8())
    )
