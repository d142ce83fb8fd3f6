"""The feedback store from an event loop: opened when first needed, used in threads."""

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from rcmvae.feedback import FeedbackStore

# Fewer than the connections of SQLAlchemy's pool (15), so that none has to be waited for.
_THREADS = 8

Result = TypeVar("Result")


class LazyStore:
    """A store that may be away when the service starts; predictions go on without it.

    Its threads are its own: however long the store takes, /metrics still finds one.

    Args:
        url: SQLAlchemy URL of the store.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._store: FeedbackStore | None = None
        self._limiter = CapacityLimiter(_THREADS)

    def store(self) -> FeedbackStore:
        """The open store; blocks, so call it in a thread.

        Raises:
            StoreUnavailable: it cannot be opened now; the next call tries again.
        """
        with self._lock:
            if self._store is None:
                self._store = FeedbackStore.open(self._url)
            return self._store

    async def run(self, operation: Callable[[FeedbackStore], Result]) -> Result:
        """Run a blocking operation on the store in a thread.

        Raises:
            StoreUnavailable, and what the operation raises.
        """
        return await to_thread.run_sync(partial(_apply, self, operation), limiter=self._limiter)

    def close(self) -> None:
        """Close the store if it was opened."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


def _apply(lazy: LazyStore, operation: Callable[[FeedbackStore], Result]) -> Result:
    return operation(lazy.store())
