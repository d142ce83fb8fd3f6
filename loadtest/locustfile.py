"""A mixed load: single predictions as JSON, binary batches, and feedback by prediction id.

The shape and range of the inputs and the labels come from GET /bundle, so that the same file loads
any model. How to run it and how to read the result: loadtest/README.md.
"""

import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from locust import FastHttpUser, between, events, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.exception import StopUser
from numpy.typing import NDArray

BATCH_ROWS = 64
# A person reads an answer before correcting it; by then the capture behind the id is shared.
CORRECTION_DELAY_SECONDS = 1.0
# Few for each user: captures are bounded in number, and many users push old ones out.
REMEMBERED_PREDICTIONS = 4

SINGLE = "POST /predict (1 row, JSON)"
BATCH = f"POST /predict ({BATCH_ROWS} rows, uint8)"
FEEDBACK = "POST /feedback (by prediction id)"

DECISIONS = frozenset({"known", "unknown_class", "out_of_distribution"})


class Unexpected(Exception):
    """The service answered something that its contract does not allow."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the service says about its inputs and labels."""

    shape: tuple[int, ...]
    low: float
    high: float
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A prediction that can be confirmed by its id from `ready` on (monotonic seconds)."""

    prediction_id: str
    label: str
    ready: float


def parse_bundle(document: Mapping[str, Any]) -> Served:
    """Read GET /bundle."""
    signature = document["input"]
    return Served(
        shape=tuple(signature["shape"]),
        low=float(signature["low"]),
        high=float(signature["high"]),
        labels=frozenset(document["labels"]),
    )


def draw_floats(generator: np.random.Generator, served: Served) -> NDArray[np.float32]:
    """One input of uniform noise: float32 of the served shape, in the served range."""
    return generator.uniform(served.low, served.high, served.shape).astype(np.float32)


def draw_bytes(generator: np.random.Generator, served: Served, rows: int) -> bytes:
    """`rows` inputs of uniform noise as uint8, back to back."""
    return generator.integers(0, 256, (rows, *served.shape), dtype=np.uint8).tobytes()


def check_predictions(document: Mapping[str, Any], rows: int, labels: frozenset[str]) -> None:
    """Hold an answer of POST /predict against the contract.

    Labels may be newer than the ones read at start: a hot swap can add some.

    Raises:
        Unexpected: naming what is wrong with it.
    """
    predictions: Sequence[Mapping[str, Any]] = document["predictions"]
    if len(predictions) != rows:
        raise Unexpected(f"expected {rows} predictions, got {len(predictions)}")
    for prediction in predictions:
        if prediction["ood"]["decision"] not in DECISIONS:
            raise Unexpected(f"unknown decision {prediction['ood']['decision']!r}")
    total = sum(predictions[0]["probabilities"].values())
    if abs(total - 1) > 1e-3:
        raise Unexpected(f"probabilities sum to {total:.6f}")
    if missing := labels - predictions[0]["probabilities"].keys():
        raise Unexpected(f"no probability for {sorted(missing)}")


class Client(FastHttpUser):
    """Someone who predicts one thing after another, sometimes many at once, and corrects some."""

    host = "http://127.0.0.1:3000"
    wait_time = between(0.0, 0.02)

    served: Served
    generator: np.random.Generator
    seen: deque[Seen]

    def on_start(self) -> None:
        """Learn what the service takes; without that this user has nothing to send."""
        self.generator = np.random.default_rng()
        self.seen = deque()
        with self.client.get("/bundle", catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"expected 200, got {response.status_code}")
                raise StopUser
            self.served = parse_bundle(response.json())

    @task(12)
    def predict_one(self) -> None:
        """One input as JSON."""
        row = draw_floats(self.generator, self.served)
        with self.client.post(
            "/predict", name=SINGLE, json={"inputs": [row.tolist()]}, catch_response=True
        ) as response:
            self._accept_predictions(response, rows=1)

    @task(4)
    def predict_batch(self) -> None:
        """Many inputs as one binary body."""
        with self.client.post(
            "/predict?dtype=uint8",
            name=BATCH,
            # Locust's annotation forgets bytes, which it passes on as they are.
            data=draw_bytes(self.generator, self.served, BATCH_ROWS),  # type: ignore[arg-type]
            headers={"Content-Type": "application/octet-stream"},
            catch_response=True,
        ) as response:
            self._accept_predictions(response, rows=BATCH_ROWS)

    @task(2)
    def give_feedback(self) -> None:
        """Confirm the label of a prediction that was answered a while ago."""
        if not self.seen or self.seen[0].ready > time.monotonic():
            return
        seen = self.seen.popleft()
        item = {"prediction_id": seen.prediction_id, "label": seen.label}
        with self.client.post(
            "/feedback",
            name=FEEDBACK,
            json={"items": [item]},
            headers={"Idempotency-Key": str(uuid.uuid4())},
            catch_response=True,
        ) as response:
            if response.status_code != 202:
                response.failure(f"expected 202, got {response.status_code}: {response.text}")
            elif len(response.json()["items"]) != 1:
                response.failure("expected one item in the answer")

    def _accept_predictions(self, response: ResponseContextManager, rows: int) -> None:
        if response.status_code != 200:
            response.failure(f"expected 200, got {response.status_code}: {response.text}")
            return
        document = response.json()
        try:
            check_predictions(document, rows, self.served.labels)
        except (Unexpected, KeyError, TypeError) as error:
            response.failure(repr(error))
            return
        if len(self.seen) == REMEMBERED_PREDICTIONS:
            return
        first = document["predictions"][0]
        ready = time.monotonic() + CORRECTION_DELAY_SECONDS
        self.seen.append(Seen(first["prediction_id"], first["label"], ready))


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def fail_when_a_task_never_ran(environment: Environment, **_: object) -> None:
    """A run that measured nothing has not passed; failed requests locust counts by itself."""
    sent = environment.stats.entries
    missing = [name for name in (SINGLE, BATCH, FEEDBACK) if (name, "POST") not in sent]
    if missing:
        logging.getLogger("loadtest").error("never sent: %s", ", ".join(missing))
        environment.process_exit_code = 1
