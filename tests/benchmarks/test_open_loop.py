"""The open-loop client against small servers: schedule, clock, and what it makes of failures."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.open_loop import UNANSWERED, OtherProcess, Phase, Plan, Sent, arrivals, offer, post

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} Some\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that hands the body of every request to a function, which writes the answer."""
    started = threading.Event()
    found: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await answer(await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(connected, "127.0.0.1", 0)
        over = asyncio.Event()
        port = listening.sockets[0].getsockname()[1]
        found.append((asyncio.get_running_loop(), over, port))
        started.set()
        await over.wait()
        listening.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait()
    loop, over, port = found[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def plan_of(url: str, *phases: Phase, patience: float = 5.0, bodies: tuple[bytes, ...]) -> Plan:
    requests = tuple(post(url, "/", body, "text/plain") for body in bodies)
    start = time.monotonic() + 0.1
    kinds = tuple(range(len(bodies)))
    return Plan(url, requests, kinds, phases, start, connections=2, patience=patience)


def is_own_number(kind: int, body: bytes) -> bool:
    return body == str(kind).encode()


def test_arrivals_are_even_within_a_phase() -> None:
    due = arrivals([Phase(10, 0.5), Phase(100, 0.05)])
    assert due == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.51, 0.52, 0.53, 0.54])


def test_every_request_is_sent_answered_and_judged() -> None:
    async def echo(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(503 if body == b"1" else 200, b"0"))

    with server(echo) as url, OtherProcess() as client:
        plan = plan_of(url, Phase(400, 0.5), bodies=(b"0", b"1", b"2"))
        plan = replace(plan, judge=is_own_number)
        sent = client.offer(plan).result()
    assert len(sent.due) == 200
    assert set(sent.status[sent.kind == 1]) == {503}
    assert set(sent.status[sent.kind != 1]) == {200}
    # Kind 2 has the answer of another; what is not 200 is not judged.
    assert sent.right.tolist() == [kind != 2 for kind in sent.kind]
    assert np.all(sent.latency >= sent.lag)
    assert np.all(sent.lag >= 0)


def test_a_server_that_stops_for_a_while_is_seen_by_all_that_were_due() -> None:
    """A closed loop would have sent one request in that time, and shown one slow answer."""
    stopped: list[float] = []

    async def stop_once(_: bytes, writer: asyncio.StreamWriter) -> None:
        if not stopped:
            stopped.append(time.monotonic())
            time.sleep(0.4)  # noqa: ASYNC251 - the whole server stops
        writer.write(reply(200))

    with server(stop_once) as url:
        sent = offer(plan_of(url, Phase(100, 1.0), bodies=(b"x",)))
    assert set(sent.status) == {200}
    early = sent.within(0.0, 0.35)
    assert len(early.due) == 35
    # Each waited for the rest of the pause, whatever connection it was on.
    assert np.all(early.latency >= 0.4 - early.due - 0.02)
    # They were sent while it stood still. How soon is the machine's affair.
    written, answered = early.due + early.lag, early.due + early.latency
    assert np.sum(written < answered.min()) > 1


def test_more_are_under_way_than_connections_were_opened_before() -> None:
    under_way, most = 0, 0

    async def slow(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.3)
        under_way -= 1
        writer.write(reply(200))

    with server(slow) as url:
        sent = offer(plan_of(url, Phase(100, 0.5), bodies=(b"x",)))
    assert set(sent.status) == {200}
    assert most > 15


def test_what_breaks_or_never_comes_is_unanswered() -> None:
    async def moody(body: bytes, writer: asyncio.StreamWriter) -> None:
        if body == b"close":
            writer.close()
        elif body == b"answer":
            writer.write(reply(200))

    with server(moody) as url:
        bodies = (b"answer", b"close", b"silence")
        sent = offer(plan_of(url, Phase(30, 0.5), patience=0.3, bodies=bodies))
    assert set(sent.status[sent.kind == 0]) == {200}
    assert set(sent.status[sent.kind != 0]) == {UNANSWERED}
    assert np.all(np.isnan(sent.latency[sent.kind != 0]))


def test_nobody_there_is_unanswered_too() -> None:
    sent = offer(plan_of("http://127.0.0.1:9", Phase(20, 0.2), patience=0.3, bodies=(b"x",)))
    assert isinstance(sent, Sent)
    assert set(sent.status) == {UNANSWERED}
