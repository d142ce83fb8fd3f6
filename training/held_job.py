"""A retrain job held by this process: its lease renewed all the time, its progress durable."""

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rcmvae.errors import ClaimLost, StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobClaim, JobStore

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
_BEATS = 4
"""Renewals within one lease, so that a store that is away for a moment costs nothing."""
_REPORT_SECONDS = 0.5
_TURN_SECONDS = 0.02
"""Between two looks whether the relabel that runs has ended."""


class HeldJob:
    """The `training.reporter.Reporter` of a job in the store, inside a ``with`` block.

    A thread renews the job and the feedback beside it. It does so as long as the process lives,
    whatever the work does: what hangs has to be killed by somebody, and is then taken over.

    Args:
        store: of the feedback.
        jobs: in the same database.
        claim: on the job.
        lease: after which another worker takes over from a process that is gone.
    """

    def __init__(
        self, store: FeedbackStore, jobs: JobStore, claim: JobClaim, lease: timedelta
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._claim = claim
        self._lease = lease
        self._feedback: str | None = None
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="retrain-lease", daemon=True)
        self._reported = -_REPORT_SECONDS

    def __enter__(self) -> Self:
        """Begin to renew."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; the job itself is as it was left."""
        self._ended.set()
        self._thread.join()

    @property
    def lease(self) -> timedelta:
        """Of the feedback too."""
        return self._lease

    def claimed(self, token: str | None) -> None:
        """Renew this claim on feedback too."""
        self._feedback = token

    def say(self, share: float, message: str) -> None:
        """Write the progress down, at most twice a second; the store may miss one."""
        logger.info("%s", message)
        now = time.monotonic()
        if now - self._reported < _REPORT_SECONDS:
            return
        self._reported = now
        try:
            self._jobs.report(self._claim.token, share, message)
        except StoreUnavailable as error:
            logger.warning("the progress was not written down: %s", error)

    def take_turn(self) -> None:
        """Wait for the relabel that runs, and let no other begin until this job ends.

        One that was killed is waited for until somebody should have taken it over; then the pointer
        itself has to say who came first.

        Raises:
            ClaimLost: another worker has the job.
        """
        end = time.monotonic() + 2 * self._lease.total_seconds()
        while not self._jobs.take_turn(self._claim.token):
            if time.monotonic() > end:
                logger.warning("a relabel does not end: it is not waited for")
                return
            time.sleep(_TURN_SECONDS)

    def require_held(self) -> None:
        """Renew job and feedback now.

        Raises:
            ClaimLost: another worker has one of them.
        """
        if self._lost.is_set():
            raise ClaimLost("another worker took the retrain job over")
        self._jobs.renew(self._claim.token, self._lease)
        if self._feedback is not None:
            self._store.renew(self._feedback, self._lease)

    def _beat(self) -> None:
        while not self._ended.wait(self._lease.total_seconds() / _BEATS):
            try:
                self._jobs.renew(self._claim.token, self._lease)
                self._renew_feedback()
            except ClaimLost:
                self._lost.set()
                return
            except StoreUnavailable as error:
                logger.warning("the lease was not renewed: %s", error)

    def _renew_feedback(self) -> None:
        """Renew it where there is some; what was settled meanwhile needs no lease."""
        token = self._feedback
        if token is None:
            return
        try:
            self._store.renew(token, self._lease)
        except ClaimLost:
            logger.debug("no feedback is held any more")
