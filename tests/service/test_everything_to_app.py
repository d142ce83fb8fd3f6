"""Our application takes HTTP from the one that it is mounted in, and with it the way there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.everything_to_app import EverythingToApp


async def _ours(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ours")


async def _theirs(_: Request) -> PlainTextResponse:
    return PlainTextResponse("theirs")


class Passed:
    """Middleware that notes what passes it."""

    def __init__(self, app: ASGIApp, kinds: list[str]) -> None:
        self._app = app
        self._kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._kinds.append(scope["type"])
        await self._app(scope, receive, send)


@pytest.mark.parametrize(("outermost", "passed"), [(True, []), (False, ["http"])])
def test_when_it_is_outermost_nothing_stands_before_it(outermost: bool, passed: list[str]) -> None:
    kinds: list[str] = []
    turns: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        turns.append("start")
        yield
        turns.append("stop")

    ours = Starlette(routes=[Route("/", _ours)])
    around = Starlette(
        routes=[Route("/", _theirs)],
        middleware=[
            Middleware(Passed, kinds=kinds),
            Middleware(EverythingToApp, mounted=ours, outermost=outermost),
        ],
        lifespan=lifespan,
    )

    async def answer() -> str:
        incoming: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        outgoing: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        scope = {"type": "lifespan", "state": {}}
        running = asyncio.create_task(around(scope, incoming.get, outgoing.put))  # type: ignore[arg-type]
        await incoming.put({"type": "lifespan.startup"})
        assert (await outgoing.get())["type"] == "lifespan.startup.complete"
        transport = httpx.ASGITransport(around)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            text = (await client.get("/")).text
        await incoming.put({"type": "lifespan.shutdown"})
        assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
        await running
        return text

    assert asyncio.run(answer()) == "ours"
    assert kinds == ["lifespan", *passed]
    assert turns == ["start", "stop"]
