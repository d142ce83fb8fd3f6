"""Burst: a tenth of the users, then all of them at once, then a tenth again; several times.

Requests of every phase have rows of their own in the table. A full queue is refused with 503, and
the user comes again when `Retry-After` says so: such answers are a row too, and no failure.
"""

import time
from argparse import Namespace
from typing import cast

from locust import LoadTestShape, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.runners import Runner

from loadtest.client import SINGLE, Client, options_of, problem_of
from loadtest.phases import AFTER, BURST, CALM, Phases

MOST_SPAWNED = 100
"""Users a second, above which locust itself is late."""

_REFUSALS = ("queue-full", "rate-limit")


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_lengths(parser: LocustArgumentParser) -> None:
    """Lengths of the phases."""
    parser.add_argument("--calm-seconds", type=float, default=15.0, help="before and after a burst")
    parser.add_argument("--burst-seconds", type=float, default=5.0, help="of a burst")
    parser.add_argument("--bursts", type=int, default=2, help="one after another")


class Burst(LoadTestShape):
    """Users over time; ``-u`` is their number in a burst."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now, and how many may come in a second."""
        now, phases = self._now(), self._phases()
        if now >= phases.seconds:
            return None
        most = int(self._options().num_users or 1)
        return phases.users_at(now, most), min(most, MOST_SPAWNED)

    def phase(self) -> str:
        """Which phase it is."""
        return self._phases().phase_at(self._now())

    def _phases(self) -> Phases:
        options = self._options()
        return Phases(options.calm_seconds, options.burst_seconds, options.bursts)

    def _options(self) -> Namespace:
        # Locust sets the runner before it asks for anything.
        return options_of(cast("Runner", self.runner).environment)

    def _now(self) -> float:
        return float(self.get_run_time())  # type: ignore[no-untyped-call]


class Impatient(Client):
    """Someone who asks again as soon as there is an answer."""

    wait_time = constant(0)
    sends = tuple(f"{phase}: {SINGLE}" for phase in (CALM, BURST, AFTER))

    def row_of(self, name: str) -> str:
        """Each phase has its own."""
        return f"{cast('Burst', self.environment.shape_class).phase()}: {name}"

    @task(3)
    def one(self) -> None:
        """One input as JSON."""
        self.predict_one()

    @task
    def batch(self) -> None:
        """A batch."""
        self.predict_pool()

    def refused(self, response: ResponseContextManager) -> None:
        """A full queue is what a burst is for; anything else is a failure."""
        kind = problem_of(response)
        wait = response.headers.get("Retry-After") if response.headers else None
        if kind not in _REFUSALS or wait is None:
            super().refused(response)
            return
        phase = str(response.request_meta["name"]).partition(":")[0]
        response.request_meta["name"] = f"{phase}: refused ({kind})"
        response.success()
        time.sleep(float(str(wait)))
