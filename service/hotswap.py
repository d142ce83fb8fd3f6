"""Follows the pointer: loads a new bundle beside the old one, then swaps one reference."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rcmvae.bundle import Bundle, load_bundle, read_pointer
from rcmvae.errors import (
    BundleDamaged,
    BundleFormatUnsupported,
    BundleNotFound,
    ProviderUnavailable,
)
from service.memory import give_back
from service.metrics import Metrics
from service.refused_bundles import SwapFailure
from service.served import Served

_log = logging.getLogger("bentoml.rcmvae")

# Stands for the pointer itself among refused versions; no version can have this name.
_POINTER = "/CURRENT"
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused last, and when to try it again.

    Attributes:
        target: a version, or the pointer itself.
        reason: of the last attempt.
        pause: seconds between the last attempt and the next.
        due: when the next attempt is due, by the watcher's clock.
    """

    target: str
    reason: SwapFailure
    pause: float
    due: float


class BundleWatcher:
    """Keeps the worker on the bundle that the pointer names.

    A bundle that cannot be served is refused with a log line and a metric; the old one goes on
    serving. What was wrong may pass: a folder that is still being copied, a lack of memory. So the
    bundle is tried again, after 5 s and then ever less often down to once in 5 min. That is silent
    unless the reason is another one.

    Args:
        models: folder of the bundles.
        open_served: opens and warms a verified bundle; blocks.
        metrics: counts swaps and refusals.
        clock: seconds from any origin, never going back.
    """

    def __init__(
        self,
        models: Path,
        open_served: Callable[[Bundle], Served],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._open_served = open_served
        self._metrics = metrics
        self._clock = clock
        self._refused: Refusal | None = None
        self._current: Served | None = None

    def current(self) -> Served:
        """What is served now. Hold on to it for the whole request.

        Raises:
            BundleNotFound: nothing yet.
        """
        if self._current is None:
            raise BundleNotFound("no bundle is served yet")
        return self._current

    def labels(self) -> tuple[str, ...]:
        """The labels of what is served; none while nothing is."""
        return () if self._current is None else self._current.manifest.labels

    def refresh(self) -> None:
        """Read the pointer and swap if it names another bundle; blocks, so call it in a thread."""
        target = self._pointer()
        if target is None:
            return
        if target == self._served_version():
            self._note(None)
        elif self._is_due(target):
            self._take(target)

    async def refresh_in_thread(self) -> None:
        """`refresh`, without blocking the event loop."""
        await asyncio.to_thread(self.refresh)

    def _served_version(self) -> str | None:
        return self._current.version if self._current else None

    def _is_due(self, target: str) -> bool:
        refused = self._refused
        return refused is None or refused.target != target or self._clock() >= refused.due

    def _pointer(self) -> str | None:
        try:
            return read_pointer(self._models)
        except (BundleDamaged, OSError) as error:
            self._refuse(_POINTER, error)
            return None

    def _take(self, version: str) -> None:
        try:
            served = self._open_served(load_bundle(self._models / version))
        except Exception as error:  # noqa: BLE001
            # Whatever a bundle does to ONNX Runtime, the old one must go on serving.
            self._refuse(version, error)
        else:
            self._swap(served)
            # Of the file's bytes, and of the bundle before unless a request still holds it.
            give_back()

    def _refuse(self, target: str, error: Exception) -> None:
        before, reason = self._refused, swap_failure(error, target)
        again = before is not None and before.target == target
        pause = min(2 * before.pause, _LONGEST_PAUSE) if before and again else _FIRST_PAUSE
        refused = Refusal(target, reason, pause, self._clock() + pause)
        self._note(refused)
        if before is None or (before.target, before.reason) != (target, reason):
            self._report(refused, error)

    def _report(self, refused: Refusal, error: Exception) -> None:
        self._metrics.swap_failures.labels(refused.reason).inc()
        what = "the pointer" if refused.target == _POINTER else f"bundle {refused.target}"
        serving = self._served_version() or "no bundle"
        _log.error("%s refused (%s): %s; %s goes on serving", what, refused.reason, error, serving)

    def _note(self, refused: Refusal | None) -> None:
        """Remember what is refused, and let whoever scrapes any worker see it."""
        before, self._refused = self._refused, refused
        reason = None if refused is None else refused.reason
        if reason != (None if before is None else before.reason):
            self._metrics.refused.announce(reason)

    def _swap(self, served: Served) -> None:
        previous = self._served_version()
        self._current = served
        self._note(None)
        self._metrics.swaps.inc()
        self._metrics.served.announce(served.version, served.manifest.created)
        providers = ", ".join(served.predictor.active_providers)
        _log.info("serving bundle %s after %s on %s", served.version, previous, providers)


def swap_failure(error: Exception, target: str) -> SwapFailure:
    """The reason of a refusal, from a small fixed set."""
    if target == _POINTER:
        return SwapFailure.POINTER
    match error:
        case BundleNotFound():
            return SwapFailure.NOT_FOUND
        case BundleFormatUnsupported():
            return SwapFailure.FORMAT
        case BundleDamaged():
            return SwapFailure.DAMAGED
        case ProviderUnavailable():
            return SwapFailure.PROVIDER
    return SwapFailure.SESSION
