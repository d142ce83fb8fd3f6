"""Triton through PyTriton: ``python -m benchmarks.peers_serving.pytriton_service PORT GRPC_PORT``.

As PyTriton's documentation recommends: a function over a batch, which Triton's dynamic batcher
makes of requests, bound with its tensors. A model takes one type, so there is one of floats and one
of bytes for each graph.
"""

import sys

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers_serving.model import KINDS, Model, from_octets

# The largest body of the benchmark has 64 rows, so two of them run together.
MOST_ROWS = 128
BYTES = "_bytes"
"""What the name of a model that takes bytes ends with."""


class Graph:
    """One of the graphs."""

    def __init__(self, kind: str) -> None:
        self.model = Model(kind)

    @property
    def outputs(self) -> list[Tensor]:
        """Every tensor of Triton's has an axis beside the batch."""
        found = [
            Tensor(name=name, dtype=np.int64 if name == "channel" else np.float32, shape=(n or 1,))
            for name, n in self.model.columns.items()
        ]
        if "logits" in self.model.columns:
            found.append(Tensor(name="channels", dtype=np.int64, shape=(1,)))
        return found

    @batch  # type: ignore[untyped-decorator]
    def infer(self, x: NDArray[np.float32] | NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """All outputs of a batch."""
        rows = from_octets(x.tobytes()) if x.dtype == np.uint8 else x.astype(np.float32, copy=False)
        outputs = dict(self.model(rows))
        if "logits" in outputs:
            outputs["channels"] = outputs["logits"].argmax(axis=1)
        return {name: value.reshape(len(x), -1) for name, value in outputs.items()}


def main(port: int, grpc_port: int) -> None:
    """Serve until the end."""
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=port,
        grpc_address="127.0.0.1",
        grpc_port=grpc_port,
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        for kind in KINDS:
            graph = Graph(kind)
            for name, dtype in ((kind, np.float32), (f"{kind}{BYTES}", np.uint8)):
                triton.bind(
                    model_name=name,
                    infer_func=graph.infer,
                    inputs=[Tensor(name="x", dtype=dtype, shape=(graph.model.size,))],
                    outputs=graph.outputs,
                    config=ModelConfig(max_batch_size=MOST_ROWS, batcher=DynamicBatcher()),
                )
        triton.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
