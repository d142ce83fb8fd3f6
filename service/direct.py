"""The busiest routes, answered without Starlette's router and exception layers."""

from collections.abc import Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from rcmvae.errors import RcmvaeError
from service.access import ScopedRoute
from service.problem import on_disconnect, on_raised


class DirectRoutes:
    """ASGI middleware that finds a route by a look into a table.

    Walking the routes, two layers for exceptions and two more around the endpoint cost a fifth of
    a small prediction. Whatever is not in the table goes the usual way, and gets the same replies.

    Args:
        app: the application with all routes.
        routes: to answer here; their paths have no parameters, and their endpoints raise nothing
            that only Starlette's layers know.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[ScopedRoute]) -> None:
        self._app = app
        self._routes = {(method, r.path): r for r in routes for method in r.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        is_http = scope["type"] == "http"
        route = self._routes.get((scope["method"], scope["path"])) if is_http else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            route.admit(scope)
            response = await route.endpoint(request)
        except RcmvaeError as error:
            response = await on_raised(request, error)
        except ClientDisconnect as error:
            response = await on_disconnect(request, error)
        await response(scope, receive, send)
