"""The course of a load with bursts. Without locust, which patches sockets."""

from dataclasses import dataclass

CALM, BURST, SETTLING, AFTER = "calm", "burst", "settling", "after"
SETTLING_SECONDS = 2.0
"""After a burst, until which the service should be as fast again as before it."""
CALM_SHARE = 0.1
"""Of the users of a burst, who are there all the time."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Calm and bursts in turn, calm at the end.

    Attributes:
        calm: seconds of it before and after each burst.
        burst: seconds of a burst.
        bursts: their number.
    """

    calm: float
    burst: float
    bursts: int

    @property
    def seconds(self) -> float:
        """Of the whole."""
        return self.bursts * (self.calm + self.burst) + self.calm

    def phase_at(self, seconds: float) -> str:
        """Which phase it is, so long after the start."""
        before, now = divmod(seconds, self.calm + self.burst)
        if now >= self.calm:
            return BURST
        if not before:
            return CALM
        return SETTLING if now < SETTLING_SECONDS else AFTER

    def users_at(self, seconds: float, most: int) -> int:
        """How many users there should be of the most, so long after the start."""
        return most if self.phase_at(seconds) == BURST else max(1, round(CALM_SHARE * most))
