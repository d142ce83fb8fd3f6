"""Bounded reading of request bodies, before anything is parsed."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from service.problem import refusal


async def read_body(request: Request, *, limit: int, timeout_seconds: float) -> bytes:
    """The whole body, refused as soon as it is known to be too large.

    Args:
        request: the request; its declared length is judged first, then what arrives is counted,
            since a chunked body declares nothing.
        limit: most bytes to accept.
        timeout_seconds: how long the body may take to arrive.

    Raises:
        RequestRefused: 413 too large, 408 too slow, 415 compressed.
    """
    _judge_headers(request.scope, limit)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _counted(request, limit)
    except TimeoutError:
        expected = f"the whole body within {timeout_seconds:g} s"
        raise refusal(408, "body-too-slow", "body", expected, "less than that") from None


async def _counted(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit, f"more than {limit} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int, actual: str) -> Exception:
    return refusal(413, "body-too-large", "body", f"at most {limit} bytes", actual)


def _judge_headers(scope: Scope, limit: int) -> None:
    """Refuse what the headers alone forbid."""
    encoding = header(scope, b"content-encoding").lower()
    if encoding not in {"", "identity"}:
        raise refusal(415, "content-encoding", "Content-Encoding", "identity", repr(encoding[:64]))
    declared = header(scope, b"content-length")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit, f"{declared[:20]} bytes declared")


def header(scope: Scope, name: bytes) -> str:
    """The first header of this lower-case name; empty where there is none.

    Read from the scope itself: Starlette's view of the headers costs as much as the rest of reading
    a small body.
    """
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def media_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; empty when none is stated."""
    return header(request.scope, b"content-type").partition(";")[0].strip().lower()


def refuse_media_type(accepted: str, actual: str) -> Exception:
    """415 for a body of a type that the route does not read."""
    shown = repr(actual[:64]) if actual else "none"
    return refusal(415, "content-type", "Content-Type", accepted, shown)
