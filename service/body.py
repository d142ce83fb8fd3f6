"""Bounded reading of request bodies, before anything is parsed."""

import asyncio

from starlette.requests import Request

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
    _refuse_compressed(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit, f"{declared[:20]} bytes declared")
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _counted(request, limit)
    except TimeoutError:
        expected = f"the whole body within {timeout_seconds:g} s"
        raise refusal(408, "body-too-slow", "body", expected, "less than that") from None


async def _counted(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit, f"more than {limit} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int, actual: str) -> Exception:
    return refusal(413, "body-too-large", "body", f"at most {limit} bytes", actual)


def _refuse_compressed(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise refusal(415, "content-encoding", "Content-Encoding", "identity", repr(encoding[:64]))


def media_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; empty when none is stated."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_media_type(accepted: str, actual: str) -> Exception:
    """415 for a body of a type that the route does not read."""
    shown = repr(actual[:64]) if actual else "none"
    return refusal(415, "content-type", "Content-Type", accepted, shown)
