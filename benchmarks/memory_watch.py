"""The memory of a server over time."""

import threading
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Self

from benchmarks.server import Server

EVERY_SECONDS = 0.5


@dataclass(slots=True)
class MemoryWatch:
    """Notes the memory of a server from a thread, until the end of its block.

    Attributes:
        server: that is watched.
        start: what times count from, by ``time.monotonic``.
        seconds: of every note, after the start.
        mb: resident memory of all processes then, in MB.
    """

    server: Server
    start: float
    seconds: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.seconds.append(round(time.monotonic() - self.start, 1))
            self.mb.append(self.server.all_mb())

    def level(self, start: float, end: float) -> float:
        """The median within [start, end), in MB; NaN where nothing was noted."""
        pairs = zip(self.seconds, self.mb, strict=True)
        within = [mb for second, mb in pairs if start <= second < end]
        return median(within) if within else float("nan")

    def growth(self, start: float, end: float) -> float:
        """The last quarter of [start, end) over its second one, in MB.

        The first quarter may fill what is bounded: queues, captured inputs, the session's arena.
        """
        quarter = (end - start) / 4
        early = self.level(start + quarter, start + 2 * quarter)
        return self.level(start + 3 * quarter, end) - early
