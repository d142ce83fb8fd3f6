"""MLServer: ``python -m benchmarks.peers_serving.mlserver_service PORT GRPC_PORT``.

As MLServer's documentation recommends: a custom runtime that decodes and encodes by codecs,
adaptive batching, and inference in the server's own process, which its documentation offers and
which is faster here than a worker beside it. Its inference protocol is JSON; the binary extension
it has not.
"""

import asyncio
import sys

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers_serving.model import KINDS, Model

MOST_REQUESTS = 16
BATCH_SECONDS = 0.001


class Graph(MLModel):  # type: ignore[misc]
    """One of the graphs as a runtime; its kind is its name."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = Model(self.name)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """All outputs of rows that may be of several requests."""
        x = NumpyCodec.decode_input(payload.inputs[0])
        outputs = dict(self.model(x.astype(np.float32, copy=False)))
        if "logits" in outputs:
            outputs["channels"] = outputs["logits"].argmax(axis=1)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, value) for name, value in outputs.items()],
        )


async def main(port: int, grpc_port: int) -> None:
    """Serve until the end."""
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=grpc_port,
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
    )
    models = [
        ModelSettings(
            name=kind,
            implementation=Graph,
            max_batch_size=MOST_REQUESTS,
            max_batch_time=BATCH_SECONDS,
        )
        for kind in KINDS
    ]
    await MLServer(settings).start(models)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
