"""Doing something again and again until the service stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("bentoml.rcmvae")


async def repeat(
    action: Callable[[], Awaitable[None]], seconds: float, stop: asyncio.Event
) -> None:
    """Call ``action`` after every pause, until ``stop`` is set; what runs then is finished.

    Args:
        action: an error in it is logged, and the next call is made all the same.
        seconds: the pause.
        stop: ends the pause and the repetition.
    """
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            await _survived(action)


async def _survived(action: Callable[[], Awaitable[None]]) -> None:
    try:
        await action()
    except Exception:  # noqa: BLE001 - whatever it was, the next call may succeed
        _log.exception("a background task failed; it goes on")
