"""An answer as an Arrow IPC stream. Imported by the first request that accepts one."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from service.answer_columns import Column, Columns


def write_stream(columns: Columns, metadata: Mapping[str, str]) -> bytes:
    """One record batch of these columns, with this metadata in its schema."""
    names, arrays = list(columns), [_array(column) for column in columns.values()]
    schema = pa.schema(
        [pa.field(n, a.type) for n, a in zip(names, arrays, strict=True)], metadata=dict(metadata)
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _array(column: Column | Columns) -> pa.Array:
    if isinstance(column, Mapping):
        arrays = [_array(part) for part in column.values()]
        return pa.StructArray.from_arrays(arrays, names=list(column))
    if isinstance(column, np.ndarray) and column.ndim == 2:
        flat = pa.array(np.ascontiguousarray(column).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    return pa.array(column)
