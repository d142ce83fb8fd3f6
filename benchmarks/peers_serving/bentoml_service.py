"""BentoML: ``bentoml serve benchmarks.peers_serving.bentoml_service:Encoder``.

As BentoML's documentation recommends: a NumPy array with its dtype as input, and adaptive
batching over the requests. The answer of a batchable method is one array, or a list with an item
for every row. Arrays come as JSON; for bytes of an array there is no documented form.
"""

from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import DType
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.peers_serving.model import ENCODER, FULL, Model

# The largest body of the benchmark has 64 rows, so two of them run together.
MOST_ROWS = 128

Rows = Annotated[NDArray[np.float32], DType("float32")]
Logits = Annotated[NDArray[np.float32], DType("float32")]


class Full(BaseModel):
    """What our service reads from its run, of one input."""

    channel: int
    probabilities: list[float]
    total: float
    aleatoric: float
    channel_ambiguity: float
    label_map_ignorance: float
    responsibility: float
    unowned: float
    scores: list[float]
    fused: float
    position: list[float]


@bentoml.service(workers=1)
class Encoder:
    """Both graphs, each behind a route of its name."""

    def __init__(self) -> None:
        self.models = {kind: Model(kind) for kind in (ENCODER, FULL)}

    @bentoml.api(batchable=True, max_batch_size=MOST_ROWS)  # type: ignore[untyped-decorator]
    def encoder(self, x: Rows) -> Logits:
        """Logits of rows that may be of several requests."""
        return self.models[ENCODER](x)["logits"]

    @bentoml.api(batchable=True, max_batch_size=MOST_ROWS)  # type: ignore[untyped-decorator]
    def full(self, x: Rows) -> list[Full]:
        """Everything, row by row."""
        outputs = self.models[FULL](x)
        columns = (value.tolist() for value in outputs.values())
        return [Full(**dict(zip(outputs, row, strict=True))) for row in zip(*columns, strict=True)]
