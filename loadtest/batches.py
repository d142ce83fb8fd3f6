"""Large batches in several formats, and somebody with one input beside them."""

import io
import json
from argparse import ArgumentTypeError

import numpy as np
from locust import constant_throughput, events, task
from locust.argument_parser import LocustArgumentParser

from loadtest.client import OCTETS, POOL_ROWS, SINGLE, Client, options_of

LARGE_OCTETS, LARGE_NPY, LARGE_JSON = "large, octets", "large, npy", f"{POOL_ROWS} rows, JSON"


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_rows(parser: LocustArgumentParser) -> None:
    """The size of a batch."""
    parser.add_argument(
        "--batch-rows",
        type=whole_pools,
        default=8 * POOL_ROWS,
        help=f"inputs in a large batch, a multiple of {POOL_ROWS}",
    )


def whole_pools(text: str) -> int:
    """A number of inputs that all users know the answers to.

    Raises:
        ArgumentTypeError: not a multiple of the pool's rows.
    """
    rows = int(text)
    if rows < 1 or rows % POOL_ROWS:
        raise ArgumentTypeError(f"expected a multiple of {POOL_ROWS}, got {text}")
    return rows


class Batches(Client):
    """A job that works off a heap of inputs."""

    sends = (LARGE_OCTETS, LARGE_NPY, LARGE_JSON)

    rows: int
    octets: bytes
    npy: bytes
    document: bytes

    def on_start(self) -> None:
        """Write the bodies once: it is the service that is measured."""
        super().on_start()
        self.rows = options_of(self.environment).batch_rows
        low, high = self.input.low, self.input.high
        floats = (low + self.pool / np.float32(255) * (high - low)).astype(np.float32)
        shape = (self.rows, *self.input.shape)
        file = io.BytesIO()
        np.save(file, np.resize(floats, shape))
        self.octets, self.npy = np.resize(self.pool, shape).tobytes(), file.getvalue()
        self.document = json.dumps({"inputs": np.round(floats.astype(float), 4).tolist()}).encode()

    @task(2)
    def large_octets(self) -> None:
        """As bytes."""
        self.predict(LARGE_OCTETS, "?dtype=uint8", self.octets, OCTETS, self.rows)

    @task(2)
    def large_npy(self) -> None:
        """As float32 in NumPy's own format."""
        self.predict(LARGE_NPY, "", self.npy, "application/x-npy", self.rows)

    @task(1)
    def large_json(self) -> None:
        """The pool as JSON, which costs the service most of all."""
        self.predict(LARGE_JSON, "", self.document, "application/json", POOL_ROWS)


class Bystander(Client):
    """Someone with one input, who should not have to wait for all the others."""

    fixed_count = 1
    wait_time = constant_throughput(10)
    sends = (SINGLE,)

    @task
    def one(self) -> None:
        """One input as JSON."""
        self.predict_one()
