"""ONNX graphs: that one parses, and that it keeps all its tensors in its own file."""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError, Message

from rcmvae.bundle.check import Check
from rcmvae.bundle.printable import printable
from rcmvae.errors import BundleDamaged


def check_graph(name: str, content: bytes) -> None:
    """Refuse bytes that are no graph, and a graph that names another file.

    External data would let a bundle read any file of the machine into a tensor, past every hash.

    Args:
        name: name of the file, for the error.
        content: its bytes.

    Raises:
        BundleDamaged: check ``onnx`` or ``external_data``.
    """
    model = _parse(name, content)
    if not (model.opset_import and model.graph.node and model.graph.output):
        detail = "expected opset, nodes and outputs, got a model without"
        raise BundleDamaged(Check.ONNX, name, detail)
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            detail = f"expected tensor data in the file, tensor {printable(tensor.name)!r} is not"
            raise BundleDamaged(Check.EXTERNAL_DATA, name, detail)


def _parse(name: str, content: bytes) -> onnx.ModelProto:
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise BundleDamaged(Check.ONNX, name, "expected a ModelProto, got other bytes") from error
    return model


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor, wherever it hides.

    Walking all submessages instead of the places known to hold tensors (initializers, sparse
    initializers, attributes, subgraphs, functions, training graphs) leaves no place forgotten.
    """
    pending: list[Message] = [model]
    while pending:
        message = pending.pop()
        if isinstance(message, onnx.TensorProto):
            yield message
        pending.extend(_submessages(message))


def _submessages(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from [value] if isinstance(value, Message) else value
