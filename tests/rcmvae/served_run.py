"""Run a graph on arrays, for tests that compare it with NumPy."""

from typing import Any

import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

Arrays = dict[str, NDArray[Any]]


def run_graph(model: ModelProto | bytes, **inputs: NDArray[Any]) -> Arrays:
    """All outputs by name."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_read(model: ModelProto, inputs: Arrays) -> Arrays:
    """All outputs by name, of those of the inputs that the graph reads."""
    read = {value.name for value in model.graph.input}
    return run_graph(model, **{name: inputs[name] for name in inputs if name in read})
