"""An open-loop client: requests go out when they are due, whether earlier ones came back or not.

A client that waits for an answer before it sends the next request slows down with the server, and
so never sees an overload. Here arrivals are a schedule, and latency counts from the moment a
request was due: what it waits for a free connection is part of it. One process and one thread.
Waking up is exact to a millisecond, by which a latency may be too long.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Self, cast
from urllib.parse import urlsplit

import httptools
import numpy as np
import uvloop
from numpy.typing import NDArray

_STALE_SECONDS = 2.0
"""A connection idle for longer is closed: uvicorn closes at 5 s, maybe just as a request comes."""

UNANSWERED = 0
"""Status of a request whose connection broke, or that had no answer at the end."""

Judge = Callable[[int, bytes], bool]
"""Whether the body of an answer of status 200 to a request of this kind is right."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Arrivals at even distances.

    Attributes:
        rate: requests a second.
        seconds: for how long.
    """

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send and when.

    Attributes:
        url: of the server: http, with host and port.
        requests: as they go over the wire, one for each kind.
        kinds: the kinds of the arrivals, over and over.
        phases: one after the other.
        start: of the first phase, by ``time.monotonic``, which all processes share.
        connections: opened before the start.
        most_connections: opened when all others wait for an answer; beyond, requests wait. So many
            uvicorn lets wait to be accepted; the kernel drops what comes above and tries again
            after a second, which would measure the kernel.
        patience: seconds after the last arrival for answers to come.
        judge: of answers; must pass to another process.
    """

    url: str
    requests: tuple[bytes, ...]
    kinds: tuple[int, ...]
    phases: tuple[Phase, ...]
    start: float
    connections: int = 32
    most_connections: int = 2048
    patience: float = 30.0
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of all requests, in the order in which they were due. Times are in seconds.

    Attributes:
        due: after the start.
        kind: which of the plan's requests.
        lag: from when it was due until it was written to a connection; NaN if it never was.
        latency: from when it was due until its answer was there; NaN without an answer.
        status: of the answer, or `UNANSWERED`.
        right: whether the judge found nothing wrong; True without a judge.
    """

    due: NDArray[np.float64]
    kind: NDArray[np.int64]
    lag: NDArray[np.float64]
    latency: NDArray[np.float64]
    status: NDArray[np.int16]
    right: NDArray[np.bool_]

    def within(self, start: float, end: float) -> Self:
        """Those due in [start, end)."""
        return self.of((self.due >= start) & (self.due < end))

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Some of them."""
        return type(self)(
            self.due[chosen],
            self.kind[chosen],
            self.lag[chosen],
            self.latency[chosen],
            self.status[chosen],
            self.right[chosen],
        )


def post(url: str, path: str, body: bytes, media_type: str) -> bytes:
    """A POST request as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def offer(plan: Plan) -> Sent:
    """Carry a plan out in this process."""
    # A collection would be a pause of the client that looks like one of the server.
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_Client(plan).run())
    finally:
        gc.enable()


class OtherProcess:
    """Carries plans out in a process of its own, so that nothing here delays the client."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        # The process starts, and imports this module, before anything is due.
        self._pool.submit(int).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def offer(self, plan: Plan) -> "Future[Sent]":
        """`offer`, there."""
        return self._pool.submit(offer, plan)


def arrivals(phases: Sequence[Phase]) -> NDArray[np.float64]:
    """When requests are due, in seconds after the start."""
    found: list[NDArray[np.float64]] = []
    start = 0.0
    for phase in phases:
        found.append(start + np.arange(round(phase.rate * phase.seconds)) / phase.rate)
        start += phase.seconds
    return np.concatenate(found)


class _Client:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.due = arrivals(plan.phases)
        count = len(self.due)
        self.kind = np.resize(np.array(plan.kinds, dtype=np.int64), count)
        self.lag = np.full(count, np.nan)
        self.latency = np.full(count, np.nan)
        self.status = np.full(count, UNANSWERED, dtype=np.int16)
        self.right = np.ones(count, dtype=np.bool_)
        self._open = 0
        self._settled = 0
        # First in, first out, so that all connections, and the workers behind them, have a share.
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[int] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._connected: set[_Connection] = set()
        self._over = asyncio.Event()
        self._closing = False
        self._closed = asyncio.Event()

    async def run(self) -> Sent:
        """Send everything, wait for the answers, and close."""
        for _ in range(self.plan.connections):
            await self._connect()
        await self._send_all(self.due.tolist(), self.plan.start)
        try:
            async with asyncio.timeout(self.plan.patience):
                await self._over.wait()
        except TimeoutError:
            pass  # What is not answered by now stays unanswered.
        await self._close()
        return Sent(self.due, self.kind, self.lag, self.latency, self.status, self.right)

    async def _close(self) -> None:
        """Close everything: a loop of uvloop does not end while connections are open."""
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        self._closing = True
        for connection in tuple(self._connected):
            connection.abort()
        if self._connected:
            await self._closed.wait()

    async def _send_all(self, due: Sequence[float], start: float) -> None:
        following = 0
        while following < len(due):
            now = time.monotonic() - start
            while following < len(due) and due[following] <= now:
                self._send(following)
                following += 1
            if following < len(due):
                await asyncio.sleep(max(0.0, due[following] - (time.monotonic() - start)))

    def _send(self, number: int) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_usable(time.monotonic() - _STALE_SECONDS):
                self._write(connection, number)
                return
        self._waiting.append(number)
        if self._open < self.plan.most_connections:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        self._open += 1
        host, _, port = urlsplit(self.plan.url).netloc.partition(":")
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Connection(self), host, int(port))
        except OSError:
            self._open -= 1
            if self._waiting:
                self._settle(self._waiting.popleft(), UNANSWERED)

    def _write(self, connection: "_Connection", number: int) -> None:
        self.lag[number] = time.monotonic() - self.plan.start - self.due[number]
        connection.send(number, self.plan.requests[self.kind[number]])

    def connected(self, connection: "_Connection") -> None:
        """A connection is open."""
        self._connected.add(connection)
        self.free(connection)

    def free(self, connection: "_Connection") -> None:
        """A connection can take the next request."""
        if self._waiting:
            self._write(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, number: int, status: int, body: bytes) -> None:
        """A request has its answer."""
        self.latency[number] = time.monotonic() - self.plan.start - self.due[number]
        if self.plan.judge is not None and status == 200:
            self.right[number] = self.plan.judge(int(self.kind[number]), body)
        self._settle(number, status)

    def lost(self, connection: "_Connection", number: int | None) -> None:
        """A connection is gone, and the request on it."""
        self._open -= 1
        self._connected.discard(connection)
        if self._closing and not self._connected:
            self._closed.set()
        if number is not None:
            self._settle(number, UNANSWERED)

    def _settle(self, number: int, status: int) -> None:
        self.status[number] = status
        self._settled += 1
        if self._settled == len(self.due):
            self._over.set()


class _Connection(asyncio.Protocol):
    """One connection, with at most one request on it."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)
        self._number: int | None = None
        self._body: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop says that it is open."""
        # uvloop's transports have the methods, but not the base class.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._idle_since = time.monotonic()
        self._client.connected(self)

    def abort(self) -> None:
        """Close at once."""
        assert self._transport is not None
        self._transport.abort()

    def is_usable(self, idle_after: float) -> bool:
        """Whether it is open and was in use after a moment; closed if it is too old for that."""
        assert self._transport is not None
        if self._idle_since < idle_after:
            self._transport.close()
        return not self._transport.is_closing()

    def send(self, number: int, request: bytes) -> None:
        """Write a request; the one before is answered."""
        assert self._transport is not None
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """The loop has read something."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """The parser has read a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser has read the whole answer."""
        assert self._number is not None
        number, self._number = self._number, None
        body, self._body = b"".join(self._body), []
        self._client.answered(number, self._parser.get_status_code(), body)
        if self._parser.should_keep_alive():
            self._idle_since = time.monotonic()
            self._client.free(self)
        else:
            assert self._transport is not None
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """The loop says that it is gone."""
        self._client.lost(self, self._number)
