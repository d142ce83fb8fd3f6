"""Entity tags: what a client has already need not be sent again."""

import hashlib
from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response

_LONGEST = 4096


def etag_of(parts: Iterable[object]) -> str:
    """A weak tag of everything that an answer depends on."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = str(part).encode()
        digest.update(len(text).to_bytes(4, "little") + text)
    return f'W/"{digest.hexdigest()}"'


def not_modified(request: Request, etag: str, headers: Mapping[str, str]) -> Response | None:
    """304 with these headers where the client has this tag's answer (RFC 9110, 13.1.2)."""
    header = request.headers.get("if-none-match", "")
    if len(header) > _LONGEST:
        return None
    opaque = etag.removeprefix("W/")
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    if opaque in tags or "*" in tags:
        return Response(status_code=304, headers=dict(headers))
    return None


def revalidated(etag: str) -> dict[str, str]:
    """Headers of an answer that a client may keep, but asks about before it uses it again."""
    return {"ETag": etag, "Cache-Control": "private, no-cache"}
