"""What the users of all scenarios do: learn what the service takes, ask it, judge its answers."""

import json
import time
import uuid
from argparse import Namespace
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gevent import get_hub
from locust import FastHttpUser, between, events
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.exception import StopUser
from numpy.typing import NDArray

from loadtest.answer import (
    Said,
    Served,
    Unexpected,
    check_predictions,
    parse_bundle,
    read_rows,
)
from loadtest.verdict import wrong_answer

POOL_ROWS = 64
# A person reads an answer before correcting it; by then the capture behind the id is shared.
CORRECTION_DELAY_SECONDS = 1.0
# Few for each user: captures are bounded in number, and many users push old ones out.
REMEMBERED_PREDICTIONS = 4

SINGLE = "1 row, JSON"
SINGLE_OCTETS = "1 row, octets"
BATCH = f"{POOL_ROWS} rows, octets"
FEEDBACK = "feedback by prediction id"
FEEDBACK_INPUT, NOT_KEPT = "feedback with the input", "feedback: input not kept"

OCTETS = "application/octet-stream"


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_key(parser: LocustArgumentParser) -> None:
    """The key of a service that wants one."""
    parser.add_argument(
        "--key",
        env_var="LOADTEST_KEY",
        is_secret=True,
        default="",
        help="API key with the scopes predict, feedback and labels; mixed needs admin",
    )


@events.init.add_listener  # type: ignore[untyped-decorator]
def look_at_the_clock(**_: object) -> None:
    """Let ``-t`` count from now: gevent's clock stands still while modules are imported."""
    get_hub().loop.update_now()


def options_of(environment: Environment) -> Namespace:
    """The command line of this run.

    Raises:
        RuntimeError: there was none, as where locust is a library.
    """
    options: Namespace | None = environment.parsed_options
    if options is None:
        raise RuntimeError("expected to be started by the command locust")
    return options


def problem_of(response: ResponseContextManager) -> str:
    """The kind of the problem that a request was refused with; empty where there is none."""
    if response.status_code < 400:
        return ""
    try:
        return str(response.json()["type"]).rpartition(":")[2]
    except (ValueError, LookupError, TypeError):
        return ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The prediction of an input, which can be confirmed from `ready` on (monotonic seconds)."""

    prediction_id: str
    label: str
    input: list[Any]
    ready: float


class Client(FastHttpUser):
    """Someone who asks one thing after another; scenarios say what, in their tasks.

    Attributes:
        sends: names of the requests without which a run has measured nothing.
        said: what every version said of the pool, to any user of this process.
        served: what the service takes, once one user has asked.
        input: the same.
        pool: what all batches are made of, (POOL_ROWS, *shape) uint8, the same for all users.
    """

    abstract = True
    host = "http://127.0.0.1:3000"
    wait_time = between(0.0, 0.02)

    sends: ClassVar[tuple[str, ...]] = ()
    said: ClassVar[Said] = Said()
    served: ClassVar[Served | None] = None

    input: Served
    pool: NDArray[np.uint8]
    generator: np.random.Generator
    seen: deque[Seen]

    def __init__(self, environment: Environment) -> None:
        key = options_of(environment).key
        self.default_headers = {"Authorization": f"Bearer {key}"} if key else None
        super().__init__(environment)

    def on_start(self) -> None:
        """Learn what the service takes; without that this user has nothing to send."""
        self.generator = np.random.default_rng()
        self.seen = deque()
        # Once a process: a burst of users must not be a burst of these.
        if Client.served is None:
            with self.client.get("/bundle", name="bundle", catch_response=True) as response:
                if response.status_code != 200:
                    response.failure(f"expected 200, got {response.status_code}")
                    raise StopUser
                Client.served = parse_bundle(response.json())
        self.input = Client.served
        self.pool = np.random.default_rng(0).integers(
            0, 256, (POOL_ROWS, *self.input.shape), dtype=np.uint8
        )

    def row_of(self, name: str) -> str:
        """The row of the table that a request sent now belongs to."""
        return name

    def predict_one(self) -> None:
        """One input of noise, always another one, as JSON."""
        row = self.generator.uniform(self.input.low, self.input.high, self.input.shape)
        values = np.round(row, 4).tolist()
        body = json.dumps({"inputs": [values]}).encode()
        document = self.predict(SINGLE, "", body, "application/json", rows=1)
        if document is not None and len(self.seen) < REMEMBERED_PREDICTIONS:
            prediction = document["predictions"][0]
            ready = time.monotonic() + CORRECTION_DELAY_SECONDS
            seen = Seen(prediction["prediction_id"], prediction["label"], values, ready)
            self.seen.append(seen)

    def predict_octets(self) -> None:
        """One input of the pool, as bytes."""
        row = self.pool[self.generator.integers(POOL_ROWS)]
        self.predict(SINGLE_OCTETS, "?dtype=uint8", row.tobytes(), OCTETS, rows=1)

    def predict_pool(self) -> None:
        """The whole pool, as bytes."""
        self.predict(BATCH, "?dtype=uint8", self.pool.tobytes(), OCTETS, rows=POOL_ROWS)

    def predict(
        self, name: str, query: str, body: bytes, media_type: str, rows: int
    ) -> dict[str, Any] | None:
        """Send inputs, judge the answer, and return it if it is right.

        Args:
            name: of the request in the table.
            query: of the path.
            body: the inputs; of more than one row, the pool again and again.
            media_type: of the body.
            rows: in it.
        """
        with self.client.post(
            f"/predict{query}",
            name=self.row_of(name),
            # Locust's annotation forgets bytes, which it passes on as they are.
            data=body,  # type: ignore[arg-type]
            headers={"Content-Type": media_type},
            catch_response=True,
        ) as response:
            if response.status_code == 200:
                return self._accept(response, rows)
            self.refused(response)
            return None

    def refused(self, response: ResponseContextManager) -> None:
        """An answer other than 200: a failure, unless a scenario asks for it."""
        response.failure(f"expected 200, got {response.status_code}: {response.text}")

    def give_feedback(self) -> None:
        """Confirm the label of a prediction that was answered a while ago, if there is one.

        By its id; a service under load does not keep every input, and then with the input.
        """
        if not self.seen or self.seen[0].ready > time.monotonic():
            return
        seen = self.seen.popleft()
        if not self._feed_back(FEEDBACK, {"prediction_id": seen.prediction_id}, seen.label):
            self._feed_back(FEEDBACK_INPUT, {"input": seen.input}, seen.label)

    def _feed_back(self, name: str, what: dict[str, Any], label: str) -> bool:
        """Send one item; False where the service no longer has the input of a prediction."""
        with self.client.post(
            "/feedback",
            name=self.row_of(name),
            json={"items": [{**what, "label": label}]},
            headers={"Idempotency-Key": str(uuid.uuid4())},
            catch_response=True,
        ) as response:
            if "prediction_id" in what and problem_of(response) == "prediction-not-found":
                response.request_meta["name"] = self.row_of(NOT_KEPT)
                response.success()
                return False
            if response.status_code != 202:
                response.failure(f"expected 202, got {response.status_code}: {response.text}")
            elif len(response.json()["items"]) != 1:
                response.failure("expected one item in the answer")
            return True

    def _accept(self, response: ResponseContextManager, rows: int) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = response.json()
            self._judge(document, rows)
        except (Unexpected, ValueError, LookupError, TypeError, AttributeError) as error:
            wrong_answer.fire(name=response.request_meta["name"], reason=repr(error))
            response.failure(f"wrong answer: {error!r}")
            return None
        return document

    def _judge(self, document: dict[str, Any], rows: int) -> None:
        check_predictions(document, rows)
        if rows > 1:
            # Any part of the pool's length is the whole pool.
            found = read_rows(document)
            for start in range(0, rows, POOL_ROWS):
                self.said.check(document["bundle_version"], found[start : start + POOL_ROWS])
