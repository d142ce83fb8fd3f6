"""Around every request: named, counted, timed, ended at its deadline, its errors never shown."""

import asyncio
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.principal import owner_name
from service.access.rate import rate_headers
from service.body import header
from service.problem import RequestRefused, problem_of, refusal
from service.reply_headers import complete_headers
from service.request_id import HEADER, current_request_id, request_id_of

_log = logging.getLogger("bentoml.rcmvae")


class EveryRequest:
    """ASGI middleware around the routes.

    Counts by route template, so that no metric label comes from outside. An error that nobody
    expected is logged once, with its trace, and answered as a 500 that says nothing.

    Args:
        app: the application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        request_id = request_id_of(header(scope, HEADER))
        token = current_request_id.set(request_id)

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].extend(rate_headers(scope))
                complete_headers(message["headers"], request_id)
            await send(message)

        try:
            await self._within_deadline(scope, receive, send_noting_status)
        except Exception as error:
            if not isinstance(error, RequestRefused):
                _log.exception("%s %s failed", scope["method"], _route(scope))
            if status:  # too late for another answer: the server must cut the connection
                raise
            problem = problem_of(error)
            scope["app"].state.runtime.metrics.rejections.labels(problem.kind).inc()
            await problem.response()(scope, receive, send_noting_status)
        finally:
            _count(scope, status, time.perf_counter() - start)
            current_request_id.reset(token)

    async def _within_deadline(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = scope["app"].state.runtime.settings.timeout_seconds
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                await self._app(scope, receive, send)
        except TimeoutError:
            if not deadline.expired():
                raise
            expected = f"an answer within {seconds:g} s"
            raise refusal(504, "deadline", "request", expected, "none yet") from None


def _count(scope: Scope, status: int, seconds: float) -> None:
    runtime, route = scope["app"].state.runtime, _route(scope)
    owner = owner_name(scope)
    runtime.metrics.requests.count(route, status, seconds)
    runtime.metrics.requests.count_owner(owner)
    if runtime.settings.access_log:
        # The route and not the path, whose parts come from outside.
        told = {"method": scope["method"], "route": route, "status": status}
        told |= {"owner": owner, "seconds": round(seconds, 6)}
        _log.info("%s %s %d", scope["method"], route, status, extra=told)


def _route(scope: Scope) -> str:
    return scope["route"].path if "route" in scope else "(none)"
