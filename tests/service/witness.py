"""Sees every reply of an application, and holds it to the OpenAPI document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import needs_of
from service.openapi import openapi_json

# Of no operation, and of bugs.
_UNDESCRIBED = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.INTERNAL_SERVER_ERROR}


class Witness:
    """ASGI middleware that notes what the document does not say.

    Args:
        app: the application.
        has_keys: whether it asks for keys.
    """

    def __init__(self, app: ASGIApp, routes: Any, *, has_keys: bool) -> None:
        self._app = app
        self._paths = orjson.loads(openapi_json(needs_of(routes), has_keys=has_keys))["paths"]
        self._undocumented: list[str] = []

    def take(self) -> list[str]:
        """What was noted since the last call."""
        noted, self._undocumented = self._undocumented, []
        return noted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = {name.decode(): value.decode() for name, value in message["headers"]}
                self._judge(scope, message["status"], headers)
            await send(message)

        await self._app(scope, receive, noting)

    def _judge(self, scope: Scope, status: int, headers: Mapping[str, str]) -> None:
        path = scope["route"].path if "route" in scope else None
        method = "get" if scope["method"] == "HEAD" else scope["method"].lower()
        operation = self._paths.get(path, {}).get(method)
        if operation is None or status in _UNDESCRIBED:
            return
        described = operation["responses"].get(str(status))
        what = f"{method} {path} {status}"
        if described is None:
            self._undocumented.append(what)
            return
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type not in described.get("content", {"": {}}):
            self._undocumented.append(f"{what} {media_type}")
        for name, header in described.get("headers", {}).items():
            if header["required"] and name.lower() not in headers:
                self._undocumented.append(f"{what} without {name}")
