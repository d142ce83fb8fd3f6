"""Graphs written as text that can be read, and checked as they are parsed."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper, parser

OPSET = 20
IR_VERSION = 10

_HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["": {OPSET}]>'


def parsed(text: str) -> ModelProto:
    """The model of one graph in ONNX's textual form.

    Raises:
        onnx.parser.ParseError: the text is none.
    """
    return parser.parse_model(_HEADER + text)


def with_constants(text: str, constants: Mapping[str, NDArray[np.floating]]) -> ModelProto:
    """The same, with constants that the text names, in float32; checked.

    Raises:
        onnx.parser.ParseError: the text is no graph.
        onnx.checker.ValidationError: the graph contradicts itself.
    """
    model = parsed(text)
    for name, value in constants.items():
        single = np.ascontiguousarray(value, dtype=np.float32)
        model.graph.initializer.append(numpy_helper.from_array(single, name))
    onnx.checker.check_model(model, full_check=True)
    return model
