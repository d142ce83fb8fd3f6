"""Steady: as many requests a second as are asked for, one input each, for as long as it takes."""

from locust import constant_throughput, task

from loadtest.client import SINGLE, SINGLE_OCTETS, Client

REQUESTS_A_SECOND = 10
"""Of one user, where the service keeps up; the rate of a run is that many times its users."""


class Steady(Client):
    """A program that sends inputs as they come."""

    wait_time = constant_throughput(REQUESTS_A_SECOND)
    sends = (SINGLE, SINGLE_OCTETS)

    @task(3)
    def one(self) -> None:
        """One input as JSON."""
        self.predict_one()

    @task
    def octets(self) -> None:
        """One input as bytes."""
        self.predict_octets()
