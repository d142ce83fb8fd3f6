"""What all peers serve: two graphs of the bundle, and how they are run.

Needs NumPy and ONNX Runtime alone, since every peer lives in an environment of its own. GRAPHS
names the folder that holds the graphs: ``encoder.onnx``, from inputs to channel logits, and
``full.onnx``, from inputs to all that our service reads from its own run.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

ENCODER, FULL = "encoder", "full"
KINDS = (ENCODER, FULL)

Array = NDArray[Any]
Outputs = Mapping[str, Array]


class Model:
    """One of the graphs, on one thread as our own service has it.

    Attributes:
        size: numbers in an input.
        columns: numbers of each output for one input; 0 where it is one number without an axis.
    """

    size: int
    columns: Mapping[str, int]

    def __init__(self, kind: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(
            Path(os.environ["GRAPHS"], f"{kind}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        (x,) = self._session.get_inputs()
        self._shape = tuple(x.shape[1:])
        self.size = int(np.prod(self._shape))
        outputs = self._session.get_outputs()
        self.columns = {one.name: one.shape[1] if len(one.shape) > 1 else 0 for one in outputs}

    def __call__(self, x: NDArray[np.float32]) -> Outputs:
        """All outputs for inputs of any number, nested or flat."""
        names = list(self.columns)
        found = self._session.run(names, {"x": x.reshape(-1, *self._shape)})
        return dict(zip(names, found, strict=True))


def from_octets(octets: bytes) -> NDArray[np.float32]:
    """Inputs of bytes, 0 to 255 for 0 to 1, flat and one after another."""
    return np.frombuffer(octets, np.uint8).astype(np.float32) / np.float32(255)
