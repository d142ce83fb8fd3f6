"""FastAPI and ONNX Runtime: ``uvicorn benchmarks.peers_serving.fastapi_service:app``.

As FastAPI's documentation recommends: pydantic models for body and answer (the return type, which
lets pydantic write the JSON), models loaded in the lifespan, blocking work in ``def`` routes, which
run in the thread pool, uvicorn with its ``standard`` extras. FastAPI reads binary bodies only in
``async def`` routes; there the session runs in place.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, Request
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.peers_serving.model import ENCODER, FULL, KINDS, Model, from_octets


class Body(BaseModel):
    """Inputs, each flat."""

    inputs: list[list[float]]


class Logits(BaseModel):
    """The best channel and the logits of every channel, of each input."""

    channels: list[int]
    logits: list[list[float]]


class Full(BaseModel):
    """What our service reads from its run, of each input."""

    channel: list[int]
    probabilities: list[list[float]]
    total: list[float]
    aleatoric: list[float]
    channel_ambiguity: list[float]
    label_map_ignorance: list[float]
    responsibility: list[float]
    unowned: list[float]
    scores: list[list[float]]
    fused: list[float]
    position: list[list[float]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the models."""
    app.state.models = {kind: Model(kind) for kind in KINDS}
    yield


app = FastAPI(lifespan=lifespan)


def logits_of(x: NDArray[np.float32]) -> Logits:
    """Run the encoder."""
    logits = app.state.models[ENCODER](x)["logits"]
    return Logits(channels=logits.argmax(axis=1).tolist(), logits=logits.tolist())


def full_of(x: NDArray[np.float32]) -> Full:
    """Run the whole graph."""
    return Full(**{name: value.tolist() for name, value in app.state.models[FULL](x).items()})


@app.post("/encoder")  # type: ignore[untyped-decorator]
def encoder(body: Body) -> Logits:
    """Answer for inputs in JSON."""
    return logits_of(np.asarray(body.inputs, dtype=np.float32))


@app.post("/encoder/binary")  # type: ignore[untyped-decorator]
async def encoder_binary(request: Request) -> Logits:
    """Answer for inputs as bytes."""
    return logits_of(from_octets(await request.body()))


@app.post("/full")  # type: ignore[untyped-decorator]
def full(body: Body) -> Full:
    """Answer for inputs in JSON."""
    return full_of(np.asarray(body.inputs, dtype=np.float32))


@app.post("/full/binary")  # type: ignore[untyped-decorator]
async def full_binary(request: Request) -> Full:
    """Answer for inputs as bytes."""
    return full_of(from_octets(await request.body()))


@app.get("/readyz")  # type: ignore[untyped-decorator]
def ready() -> None:
    """Answered once the lifespan has loaded the models."""
