"""FastAPI and ONNX Runtime over the encoder alone: ``uvicorn fastapi_service:app``.

As FastAPI's documentation recommends: pydantic models for body and answer (the return type, which
lets pydantic write the JSON), the model loaded in the lifespan, blocking work in ``def`` routes,
which run in the thread pool, uvicorn with its ``standard`` extras. FastAPI reads binary bodies only
in ``async def`` routes; there the session runs in place.

ENCODER names the graph, SHAPE the shape of an input with commas.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, Request
from numpy.typing import NDArray
from pydantic import BaseModel

SHAPE = tuple(int(size) for size in os.environ["SHAPE"].split(","))


class Body(BaseModel):
    """Inputs, each flat."""

    inputs: list[list[float]]


class Answer(BaseModel):
    """The best channel and the logits of every channel, of each input."""

    channels: list[int]
    logits: list[list[float]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the encoder, with one thread as our own service has it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    app.state.session = ort.InferenceSession(
        os.environ["ENCODER"], options, providers=["CPUExecutionProvider"]
    )
    yield


app = FastAPI(lifespan=lifespan)


def answer(x: NDArray[np.float32]) -> Answer:
    """Run the encoder for inputs of any number, each flat."""
    (logits,) = app.state.session.run(["logits"], {"x": x.reshape(-1, *SHAPE)})
    return Answer(channels=logits.argmax(axis=1).tolist(), logits=logits.tolist())


@app.post("/predict")  # type: ignore[untyped-decorator]
def predict(body: Body) -> Answer:
    """Answer for inputs in JSON."""
    return answer(np.asarray(body.inputs, dtype=np.float32))


@app.post("/predict-binary")  # type: ignore[untyped-decorator]
async def predict_binary(request: Request) -> Answer:
    """Answer for inputs as bytes, 0 to 255."""
    return answer(
        np.frombuffer(await request.body(), np.uint8).astype(np.float32) / np.float32(255)
    )


@app.get("/readyz")  # type: ignore[untyped-decorator]
def ready() -> None:
    """Answered once the lifespan has loaded the encoder."""
