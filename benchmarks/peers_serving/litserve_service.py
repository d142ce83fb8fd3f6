"""LitServe: ``python -m benchmarks.peers_serving.litserve_service PORT``.

As LitServe's documentation recommends: the steps of a LitAPI, one for each endpoint, batching of
requests, JSON, and a file of a form for bytes; its faster queue between server and worker. A
request has one or many rows, so a batch is a list of arrays. It waits for one millisecond: with
four connections it is never full.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import litserve as ls
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers_serving.model import KINDS, Model, Outputs, from_octets

MOST_REQUESTS = 16
BATCH_SECONDS = 0.001

Floats = NDArray[np.float32]


class Graph(ls.LitAPI):  # type: ignore[misc]
    """One of the graphs; its kind is its path."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe calls it so
        """Load the model in the worker."""
        self.model = Model(self.api_path.strip("/"))

    # LitServe reads the annotation as a model of the body; without one it takes JSON and forms.
    def decode_request(self, request) -> Floats:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Inputs of JSON, or of the file ``inputs`` of a form, (rows, size)."""
        given = request["inputs"]
        if isinstance(given, list):
            return np.asarray(given, dtype=np.float32)
        return from_octets(given.file.read()).reshape(-1, self.model.size)

    def batch(self, inputs: Sequence[Floats]) -> Sequence[Floats]:
        """What runs together; how many rows each request has is still to be seen."""
        return inputs

    def predict(self, x: Sequence[Floats]) -> list[Outputs]:
        """Outputs of every request, by one run."""
        outputs = self.model(np.concatenate(x))
        ends = np.cumsum([len(rows) for rows in x])[:-1]
        parts = [np.split(value, ends) for value in outputs.values()]
        return [dict(zip(outputs, part, strict=True)) for part in zip(*parts, strict=True)]

    def unbatch(self, output: list[Outputs]) -> list[Outputs]:
        """One for every request."""
        return output

    def encode_response(self, output: Outputs) -> Mapping[str, Any]:
        """As FastAPI's service answers."""
        answer = {name: value.tolist() for name, value in output.items()}
        if "logits" in output:
            answer["channels"] = output["logits"].argmax(axis=1).tolist()
        return answer


if __name__ == "__main__":
    apis = [
        Graph(api_path=f"/{kind}", max_batch_size=MOST_REQUESTS, batch_timeout=BATCH_SECONDS)
        for kind in KINDS
    ]
    server = ls.LitServer(apis, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
