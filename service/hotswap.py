"""Follows the pointer: loads a new bundle beside the old one, then swaps one reference."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from rcmvae.bundle import Bundle, load_bundle, read_pointer
from rcmvae.errors import (
    BundleDamaged,
    BundleFormatUnsupported,
    BundleNotFound,
    ProviderUnavailable,
)
from service.metrics import Metrics, SwapFailure
from service.served import Served

_log = logging.getLogger("bentoml.rcmvae")

# Stands for the pointer itself among refused versions; no version can have this name.
_POINTER = "/CURRENT"


class BundleWatcher:
    """Keeps the worker on the bundle that the pointer names.

    A bundle that cannot be served is refused once, with a log line and a metric; the old one goes
    on serving until the pointer moves again.

    Args:
        models: folder of the bundles.
        open_served: opens and warms a verified bundle; blocks.
        metrics: counts swaps and refusals.
    """

    def __init__(
        self, models: Path, open_served: Callable[[Bundle], Served], metrics: Metrics
    ) -> None:
        self._models = models
        self._open_served = open_served
        self._metrics = metrics
        self._refused: str | None = None
        self._current: Served | None = None

    def current(self) -> Served:
        """What is served now. Hold on to it for the whole request.

        Raises:
            BundleNotFound: nothing yet.
        """
        if self._current is None:
            raise BundleNotFound("no bundle is served yet")
        return self._current

    def refresh(self) -> None:
        """Read the pointer and swap if it names another bundle; blocks, so call it in a thread."""
        target = self._pointer()
        if target is None or target == self._refused:
            return
        self._refused = None
        if target != self._served_version():
            self._take(target)

    async def refresh_in_thread(self) -> None:
        """`refresh`, without blocking the event loop."""
        await asyncio.to_thread(self.refresh)

    def _served_version(self) -> str | None:
        return self._current.version if self._current else None

    def _pointer(self) -> str | None:
        try:
            return read_pointer(self._models)
        except BundleDamaged as error:
            if self._refused != _POINTER:
                self._refused = _POINTER
                self._refuse("the pointer", error)
            return None

    def _take(self, version: str) -> None:
        try:
            served = self._open_served(load_bundle(self._models / version))
        except Exception as error:  # noqa: BLE001
            # Whatever a bundle does to ONNX Runtime, the old one must go on serving.
            self._refused = version
            self._refuse(f"bundle {version}", error)
        else:
            self._swap(served)

    def _refuse(self, what: str, error: Exception) -> None:
        reason = swap_failure(error)
        self._metrics.swap_failures.labels(reason).inc()
        serving = self._served_version() or "no bundle"
        _log.error("%s refused (%s): %s; %s goes on serving", what, reason, error, serving)

    def _swap(self, served: Served) -> None:
        previous = self._served_version()
        self._current = served
        self._metrics.swaps.inc()
        self._metrics.served.announce(served.version, served.manifest.created)
        providers = ", ".join(served.predictor.active_providers)
        _log.info("serving bundle %s after %s on %s", served.version, previous, providers)


def swap_failure(error: Exception) -> SwapFailure:
    """The reason of a refusal, from a small fixed set."""
    match error:
        case BundleNotFound():
            return SwapFailure.NOT_FOUND
        case BundleFormatUnsupported():
            return SwapFailure.FORMAT
        case BundleDamaged():
            return SwapFailure.POINTER if error.check == "pointer" else SwapFailure.DAMAGED
        case ProviderUnavailable():
            return SwapFailure.PROVIDER
    return SwapFailure.SESSION
