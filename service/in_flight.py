"""How many requests a worker has in work, and no more."""

from types import TracebackType

from service.problem import Problem, RequestRefused

_HEADERS = {"Retry-After": "1"}


class InFlight:
    """A bound on requests in work; a block of code that is entered for each. For the event loop.

    The queue of the batcher is bounded in rows. Small requests never fill it: under overload they
    wait for the event loop before that, each with its connection and its body.

    Args:
        most: requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0
        detail = f"{most} requests are in work at this worker, which is the most"
        self._full = Problem(503, "queue-full", detail, headers=_HEADERS)

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            RequestRefused: 503, there is none.
        """
        if self._now >= self._most:
            raise RequestRefused(self._full)
        self._now += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the place back."""
        self._now -= 1
