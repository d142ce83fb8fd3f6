"""An inference request, from bytes to a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.calibration import Coverage
from rcmvae.errors import InvalidInput
from rcmvae.input_rows import rows_from_array, rows_from_nested
from service.json_body import kind_of, require_object
from service.oip.outputs import DEFAULT_OUTPUTS, OUTPUTS
from service.oip.tensor import DTYPES
from service.predict_request import parse_rate
from service.problem import quoted, refusal
from service.sampling_request import parse_coverage

INPUT = "input"
READ_TYPES = ("FP32", "FP64", "UINT8")
_MEMBERS = frozenset({"id", "parameters", "inputs", "outputs", "model_name", "model_version"})
_TENSOR_MEMBERS = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUT_MEMBERS = frozenset({"name", "parameters"})
_NO_EXTENSIONS = ("classification", "shared_memory_region")
_LONGEST_ID = 128
_MOST_OUTPUTS = 2 * len(OUTPUTS)


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that a request asks for, in JSON or as bytes behind it."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What to infer and how to answer.

    Attributes:
        request_id: the client's own, which the answer repeats; None where it gave none.
        x: float32 (N, *shape), finite and in the signature's range.
        outputs: in the order of the answer.
        alpha: false-alarm rate in (0, 1); None for the default.
        fdr: false discovery rate of the decisions, in (0, 1); None for none.
        coverage: of the prediction sets; None for the bundle's own.
        timeout_seconds: how long it may wait for its run; None for the service's own limit.
    """

    request_id: str | None
    x: NDArray[np.float32]
    outputs: tuple[RequestedOutput, ...]
    alpha: float | None
    fdr: float | None
    coverage: Coverage | None
    timeout_seconds: float | None


def parse_infer(
    body: bytes, json_length: str, signature: InputSignature, max_rows: int
) -> InferRequest:
    """Read a request.

    Args:
        body: JSON, and the bytes of binary tensors behind it.
        json_length: header ``Inference-Header-Content-Length``; empty where all is JSON.
        signature: of an input.
        max_rows: most inputs.

    Raises:
        RequestRefused: 400, not JSON.
        InvalidInput: anything else that does not fit.
    """
    head, tail = _parted(body, json_length)
    document = require_object(_parsed(head), "body", _MEMBERS)
    parameters = _parameters(document, "parameters")
    request_id = document.get("id")
    if not (request_id is None or (isinstance(request_id, str) and len(request_id) <= _LONGEST_ID)):
        raise InvalidInput("id", f"text of at most {_LONGEST_ID} characters", kind_of(request_id))
    return InferRequest(
        request_id or None,
        _inputs(document.get("inputs"), tail, signature, max_rows),
        _outputs(document.get("outputs"), _flag(parameters, "binary_data_output")),
        parse_rate("alpha", parameters.get("alpha")),
        parse_rate("fdr", parameters.get("fdr")),
        parse_coverage(parameters.get("coverage")),
        _timeout(parameters.get("timeout")),
    )


def _parted(body: bytes, json_length: str) -> tuple[bytes, bytes]:
    if not json_length:
        return body, b""
    if not (json_length.isascii() and json_length.isdecimal() and len(json_length) < 12):
        raise InvalidInput("Inference-Header-Content-Length", "a length", quoted(json_length))
    length = int(json_length)
    if length > len(body):
        expected = f"at most the body's {len(body)} bytes"
        raise InvalidInput("Inference-Header-Content-Length", expected, json_length)
    return body[:length], body[length:]


def _parsed(head: bytes) -> object:
    try:
        parsed: object = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise refusal(400, "malformed-json", "body", "JSON in UTF-8", error.msg) from None
    return parsed


def _parameters(holder: Mapping[str, object], field: str) -> dict[str, object]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInput(field, "an object", kind_of(parameters))
    return parameters


def _tensor_parameters(tensor: Mapping[str, object], field: str) -> dict[str, object]:
    """The parameters of a tensor; what would be answered otherwise than asked for is refused."""
    parameters = _parameters(tensor, field)
    for extension in _NO_EXTENSIONS:
        if parameters.get(extension):
            raise InvalidInput(field, f"no {extension}", extension)
    return parameters


def _flag(parameters: Mapping[str, object], name: str, field: str = "parameters") -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInput(f"{field}.{name}", "a boolean", kind_of(value))
    return value


def _timeout(microseconds: object) -> float | None:
    """Triton's request parameter, in microseconds; 0 is none."""
    if microseconds is None:
        return None
    if type(microseconds) is not int or microseconds < 0:
        raise InvalidInput("parameters.timeout", "microseconds", kind_of(microseconds))
    return min(microseconds, 10**12) / 1e6 or None


def _inputs(
    inputs: object, tail: bytes, signature: InputSignature, max_rows: int
) -> NDArray[np.float32]:
    if not isinstance(inputs, list) or len(inputs) != 1:
        actual = f"{len(inputs)}" if isinstance(inputs, list) else kind_of(inputs)
        raise InvalidInput("inputs", "a list of one tensor", actual)
    tensor = require_object(inputs[0], "inputs[0]", _TENSOR_MEMBERS)
    if tensor.get("name") != INPUT:
        raise InvalidInput("inputs[0].name", repr(INPUT), _shown(tensor.get("name")))
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in READ_TYPES:
        raise InvalidInput("inputs[0].datatype", " or ".join(READ_TYPES), _shown(datatype))
    shape = _shape(tensor.get("shape"), signature, max_rows)
    size = _tensor_parameters(tensor, "inputs[0].parameters").get("binary_data_size")
    if size is None:
        if tail:
            raise InvalidInput("body", "nothing behind the JSON", f"{len(tail)} bytes")
        return _from_list(tensor.get("data"), datatype, shape, signature)
    return _from_bytes(tensor, size, tail, datatype, shape, signature)


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else kind_of(value)


def _shape(shape: object, signature: InputSignature, max_rows: int) -> tuple[int, ...]:
    row = {signature.shape, (signature.size,)}
    expected = f"[N, {', '.join(map(str, signature.shape))}] or [N, {signature.size}]"
    if not isinstance(shape, list):
        raise InvalidInput("inputs[0].shape", expected, kind_of(shape))
    if not all(type(side) is int for side in shape):
        raise InvalidInput("inputs[0].shape", expected, "a list with other than whole numbers")
    sides = tuple(shape)
    if len(sides) > 8 or sides[1:] not in row:
        raise InvalidInput("inputs[0].shape", expected, quoted(str(shape[:8])))
    if not 1 <= sides[0] <= max_rows:
        raise InvalidInput("inputs[0].shape", f"1 to {max_rows} rows", f"{float(sides[0]):g}")
    return sides


def _from_bytes(
    tensor: Mapping[str, object],
    size: object,
    tail: bytes,
    datatype: str,
    shape: tuple[int, ...],
    signature: InputSignature,
) -> NDArray[np.float32]:
    if tensor.get("data") is not None:
        raise InvalidInput("inputs[0].data", "nothing, as the tensor is binary", "data")
    dtype = np.dtype(DTYPES[datatype])
    expected = int(np.prod(shape)) * dtype.itemsize
    if type(size) is not int or size != expected:
        shown = f"{float(size):g}" if type(size) is int else kind_of(size)
        raise InvalidInput("inputs[0].parameters.binary_data_size", f"{expected}", shown)
    if len(tail) != expected:
        raise InvalidInput("body", f"{expected} bytes behind the JSON", f"{len(tail)}")
    array = np.frombuffer(tail, dtype).reshape(shape)
    return rows_from_array(array, signature, field="inputs[0]")


def _from_list(
    data: object, datatype: str, shape: tuple[int, ...], signature: InputSignature
) -> NDArray[np.float32]:
    """Data in JSON, flat or nested."""
    field = "inputs[0].data"
    if not isinstance(data, list):
        raise InvalidInput(field, "a list", kind_of(data) if data is not None else "nothing")
    rows: Sequence[object] = data
    if data and not isinstance(data[0], list):
        if len(data) != shape[0] * signature.size:
            raise InvalidInput(field, f"{shape[0] * signature.size} values", f"{len(data)}")
        rows = [data[i : i + signature.size] for i in range(0, len(data), signature.size)]
    if len(rows) != shape[0]:
        raise InvalidInput(field, f"{shape[0]} rows", f"{len(rows)}")
    if datatype != "UINT8":
        return rows_from_nested(rows, signature, field=field)
    bytes_only = signature.model_copy(update={"low": 0.0, "high": 255.0})
    numbers = rows_from_nested(rows, bytes_only, field=field)
    if (numbers != np.floor(numbers)).any():
        raise InvalidInput(field, "whole numbers from 0 to 255", "a fraction")
    return rows_from_array(numbers.astype(np.uint8), signature, field=field)


def _outputs(outputs: object, binary: bool) -> tuple[RequestedOutput, ...]:
    if outputs is None or outputs == []:
        return tuple(RequestedOutput(name, binary) for name in DEFAULT_OUTPUTS)
    if not isinstance(outputs, list) or len(outputs) > _MOST_OUTPUTS:
        actual = f"{len(outputs)}" if isinstance(outputs, list) else kind_of(outputs)
        raise InvalidInput("outputs", f"a list of at most {_MOST_OUTPUTS}", actual)
    return tuple(_output(output, f"outputs[{i}]", binary) for i, output in enumerate(outputs))


def _output(output: object, field: str, binary: bool) -> RequestedOutput:
    asked = require_object(output, field, _OUTPUT_MEMBERS)
    name = asked.get("name")
    if not isinstance(name, str) or name not in OUTPUTS:
        raise InvalidInput(f"{field}.name", f"one of {', '.join(OUTPUTS)}", _shown(name))
    parameters = _tensor_parameters(asked, f"{field}.parameters")
    if parameters.get("binary_data") is None:
        return RequestedOutput(name, binary)
    return RequestedOutput(name, _flag(parameters, "binary_data", f"{field}.parameters"))
