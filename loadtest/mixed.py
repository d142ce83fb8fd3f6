"""Mixed: single inputs, batches and feedback, while the bundle is swapped again and again.

Every batch holds the same inputs, so an answer of which a row differs from what its version said
before is of no version, and wrong. The service needs two versions on disk.
"""

import logging
import time

from locust import events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest, StopUser

from loadtest.client import BATCH, SINGLE, Client, options_of

PROMOTE, SWAP = "promote", "promoted to answered"
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.05

_LOG = logging.getLogger("loadtest")


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_pause(parser: LocustArgumentParser) -> None:
    """The time between two swaps."""
    parser.add_argument("--swap-seconds", type=float, default=5.0, help="from one swap to the next")


class Mixed(Client):
    """Someone who predicts one thing after another, sometimes many at once, and corrects some."""

    sends = (SINGLE, BATCH)

    @task(12)
    def one(self) -> None:
        """One input as JSON."""
        self.predict_one()

    @task(4)
    def batch(self) -> None:
        """The pool as bytes."""
        self.predict_pool()

    @task(2)
    def feedback(self) -> None:
        """A label for what was predicted a while ago."""
        self.give_feedback()


class Operator(Client):
    """Whoever moves the pointer, from the current version to another one and back."""

    fixed_count = 1
    sends = (PROMOTE, SWAP)

    versions: tuple[str, str]
    swaps: int

    def wait_time(self) -> float:
        """As the command line has it."""
        return float(options_of(self.environment).swap_seconds)

    def on_start(self) -> None:
        """Choose two versions, the current one first; with one alone the run ends."""
        super().on_start()
        self.swaps = 0
        with self.client.get("/versions", name="versions", catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"expected 200, got {response.status_code}: {response.text}")
                raise StopUser
            document = response.json()
        names = [found["bundle_version"] for found in document["versions"]]
        others = [name for name in names if name != document["current"]]
        if not others:
            _LOG.error("expected two versions to swap between, got %s", names)
            raise StopTest
        self.versions = (document["current"], others[0])

    def on_stop(self) -> None:
        """Leave what was found."""
        if self.swaps % 2:
            self._promote(self.versions[0])

    @task
    def swap(self) -> None:
        """Move the pointer, and wait until an answer names the version."""
        version = self.versions[(self.swaps + 1) % 2]
        if not self._promote(version):
            return
        self.swaps += 1
        with self.environment.events.request.measure("SWAP", SWAP):
            end = time.monotonic() + _PATIENCE_SECONDS
            while self.client.get("/bundle", name="bundle").json()["bundle_version"] != version:
                if time.monotonic() > end:
                    raise TimeoutError(f"{version} not served within {_PATIENCE_SECONDS:g} s")
                time.sleep(_LOOK_SECONDS)

    def _promote(self, version: str) -> bool:
        with self.client.post(
            "/bundle/promote", name=PROMOTE, json={"version": version}, catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"expected 200, got {response.status_code}: {response.text}")
            return bool(response.status_code == 200)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def require_difference(environment: Environment, **_: object) -> None:
    """Versions that answer alike show no mixed answer; then the run has not looked for any."""
    share = Client.said.told_apart()
    _LOG.info("%d versions answered, %.0f %% of rows tell", len(Client.said.first), 100 * share)
    if share == 0.0:
        _LOG.error("the versions answer alike: a mixed answer would not have been seen")
        environment.process_exit_code = 1
