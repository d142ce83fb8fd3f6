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
