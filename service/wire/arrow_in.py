"""Inputs as an Arrow IPC stream. Imported by the first request that sends one: pyarrow is 27 MB.

A hostile stream could make a little into a lot: by compressed buffers, by dictionaries, by types
that need no buffers. So a stream has one record batch after another of plain numbers, nothing else
is read, and every batch is validated in full before a value of it is looked at.
"""

import struct

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from service.problem import quoted

COLUMN = "inputs"

_EXPECTED = "an Arrow IPC stream"
_MOST_FIELDS = 4096
# Of the flatbuffers Message and RecordBatch (Arrow's format/Message.fbs): offsets in their tables.
_HEADER_SLOT = 8
_COMPRESSION_SLOT = 10


def read_stream(body: bytes, signature: InputSignature) -> NDArray[np.generic]:
    """The inputs in a stream: uint8, float32 or float64, (N, size).

    Either one column ``inputs`` of lists of ``signature.size`` values, or a column for every
    feature that the signature names.

    Raises:
        InvalidInput: broken, compressed, of other columns or types, with nulls.
    """
    try:
        _refuse_what_grows(body)
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            _judge_schema(stream.schema, signature)
            batches = list(stream)
        for batch in batches:
            batch.validate(full=True)
        arrays = [_values(batch, signature) for batch in batches if batch.num_rows]
    except (pa.ArrowException, OSError, UnicodeDecodeError, struct.error, KeyError) as error:
        # Their messages may hold bytes of the body.
        raise InvalidInput("body", _EXPECTED, f"{type(error).__name__} while reading") from None
    if not arrays:
        raise InvalidInput("body", "at least one row", "none")
    return np.concatenate(arrays)


def _refuse_what_grows(body: bytes) -> None:
    """Read the messages without their values: one schema, then record batches as they are."""
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    for i, message in enumerate(reader):
        kind = "schema" if i == 0 else "record batch"
        if message.type != kind:
            raise InvalidInput("body", f"a message of kind {kind}", quoted(message.type))
        if i > 0 and _is_compressed(message.metadata.to_pybytes()):
            raise InvalidInput("body", "buffers that are not compressed", "compressed ones")


def _is_compressed(message: bytes) -> bool:
    """Whether the record batch in a flatbuffers Message names a compression."""
    root = struct.unpack_from("<I", message, 0)[0]
    slot = _slot(message, root, _HEADER_SLOT)
    if slot == 0:
        return False
    batch = root + slot + struct.unpack_from("<I", message, root + slot)[0]
    return _slot(message, batch, _COMPRESSION_SLOT) != 0


def _slot(message: bytes, table: int, slot: int) -> int:
    """Where a field of a flatbuffers table lies, from the table's start; 0 where it has none."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    if vtable < 0 or slot >= struct.unpack_from("<H", message, vtable)[0]:
        return 0
    offset: int = struct.unpack_from("<H", message, vtable + slot)[0]
    return offset


def _judge_schema(schema: pa.Schema, signature: InputSignature) -> None:
    if len(schema) > _MOST_FIELDS:
        raise InvalidInput("body", f"at most {_MOST_FIELDS} columns", f"{len(schema)}")
    if schema.names == [COLUMN]:
        kind = schema.field(0).type
        is_list = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
        if not is_list or not _is_number(kind.value_type):
            raise InvalidInput(COLUMN, _list_form(signature), quoted(str(kind)))
        return
    features = signature.features
    if features is None or sorted(schema.names) != sorted(features):
        also = ", or the features that GET /bundle names" if features else ""
        shown = ", ".join(schema.names[:8])
        raise InvalidInput("body", f"one column {COLUMN}{also}", f"columns {quoted(shown)}")
    for name in features:
        kind = schema.field(name).type
        if not _is_number(kind):
            raise InvalidInput(name, "uint8, float32 or float64", quoted(str(kind)))


def _is_number(kind: pa.DataType) -> bool:
    return kind in {pa.uint8(), pa.float32(), pa.float64()}


def _list_form(signature: InputSignature) -> str:
    return f"lists of {signature.size} uint8, float32 or float64"


def _values(batch: pa.RecordBatch, signature: InputSignature) -> NDArray[np.generic]:
    """The rows of one validated batch, (n, size)."""
    if batch.schema.names == [COLUMN]:
        lists = batch.column(0)
        flat = lists.flatten()
        even = pa.types.is_fixed_size_list(lists.type) or _are_even(lists, signature.size)
        if not even or len(flat) != len(lists) * signature.size or lists.null_count:
            raise InvalidInput(COLUMN, _list_form(signature), "other lengths or nulls")
        return _numbers(flat, COLUMN).reshape(len(lists), signature.size)
    names = signature.features or ()
    columns = [_numbers(batch.column(batch.schema.names.index(n)), n) for n in names]
    return np.column_stack(columns)


def _are_even(lists: pa.Array, size: int) -> bool:
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return bool((lengths == size).all())


def _numbers(array: pa.Array, field: str) -> NDArray[np.generic]:
    if array.null_count:
        raise InvalidInput(field, "numbers only", "null")
    numbers: NDArray[np.generic] = array.to_numpy(zero_copy_only=True)
    return numbers
