"""Who works on feedback, as far as the work itself has to know."""

import os
import socket
from datetime import timedelta
from typing import Protocol

from rcmvae.feedback import FeedbackStore

LEASE = timedelta(minutes=10)
"""Of feedback that no job in the store stands for; renewed with every epoch and before a promotion.
"""


class Reporter(Protocol):
    """Who works on feedback, as far as the work has to know."""

    @property
    def lease(self) -> timedelta:
        """Of the feedback that is claimed."""

    def claimed(self, token: str | None) -> None:
        """Feedback is held under this token from now on; under none where it is None."""

    def say(self, share: float, message: str) -> None:
        """The share in [0, 1] that is done, and what comes next."""

    def take_turn(self) -> None:
        """Let nobody else promote until the work ends, as far as that can be had.

        Raises:
            ClaimLost: another worker has taken the job.
        """

    def require_held(self) -> None:
        """Hold everything for another lease.

        Raises:
            ClaimLost: another worker has taken the job or its feedback.
        """


class Alone:
    """The reporter of work that no job in the store stands for.

    Args:
        store: of the feedback.
    """

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store
        self._token: str | None = None

    @property
    def lease(self) -> timedelta:
        """A long one: nobody renews it all the time."""
        return LEASE

    def claimed(self, token: str | None) -> None:
        """Remember the token."""
        self._token = token

    def say(self, share: float, message: str) -> None:
        """Nobody listens."""

    def take_turn(self) -> None:
        """Nobody is asked; the pointer itself says who came first."""

    def require_held(self) -> None:
        """Renew the claim on the feedback."""
        if self._token is not None:
            self._store.renew(self._token, LEASE)


def worker_name() -> str:
    """Machine and process, for people to read."""
    return f"retrain-{socket.gethostname()}-{os.getpid()}"[:128]
