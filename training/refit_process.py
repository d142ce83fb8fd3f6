"""Refits in a process of their own, so that the watcher goes on with relabels meanwhile."""

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.context import SpawnProcess

from rcmvae.errors import ClaimLost, StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobClaim, JobStore
from training.unwind import unwound_by_sigterm
from training.watch import WatchConfig, Watcher

logger = logging.getLogger(__name__)

_NICE = 10
"""Answers and relabels go first where a refit would take all cores."""
_PATIENCE = 10.0
"""Seconds until a process that was told to end is killed."""


class RefitProcess:
    """At most one refit at a time.

    A process that dies leaves its job to whoever comes next, as any worker does; it ends with the
    watcher, also where that is killed.

    Args:
        url: of the store.
        config: of the watcher.
    """

    def __init__(self, url: str, config: WatchConfig) -> None:
        self._url = url
        self._config = config
        self._process: SpawnProcess | None = None
        self._claim: JobClaim | None = None

    @property
    def is_free(self) -> bool:
        """Whether no refit runs here."""
        process = self._process
        if process is None:
            return True
        if process.is_alive():
            return False
        if process.exitcode:
            logger.error("the process of a refit ended with %s", process.exitcode)
        self._process = self._claim = None
        return True

    def begin(self, claim: JobClaim) -> None:
        """Let a process do a claimed job; returns at once."""
        spawn = multiprocessing.get_context("spawn")
        arguments = (self._url, self._config, claim, logging.getLogger("training").level)
        self._process = spawn.Process(target=_work, args=arguments, name="refit")
        self._claim = claim
        self._process.start()

    def end(self, store: FeedbackStore) -> None:
        """Stop the refit that runs, if any; its job is given back."""
        process, claim = self._process, self._claim
        if process is None or claim is None:
            return
        process.terminate()
        process.join(_PATIENCE)
        process.kill()
        process.join()
        try:
            JobStore.of(store).give_back(claim.token)
        except (ClaimLost, StoreUnavailable) as error:
            logger.debug("the refit has ended by itself, or its lease will: %s", error)
        self._process = self._claim = None


def _work(url: str, config: WatchConfig, claim: JobClaim, level: int) -> None:
    """What the process does."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("training").setLevel(level)
    threading.Thread(target=_end_with_the_watcher, name="watcher", daemon=True).start()
    os.nice(_NICE)
    # The watcher's own Ctrl-C reaches the whole group; it says then what becomes of a refit.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with unwound_by_sigterm(), FeedbackStore.open(url) as store:
            Watcher(store, config).work_on(claim)
    except StoreUnavailable as error:
        logger.warning("the store is away; the job's lease will end: %s", error)


def _end_with_the_watcher() -> None:
    watcher = multiprocessing.parent_process()
    if watcher is not None:
        watcher.join()
        os.kill(os.getpid(), signal.SIGTERM)
