"""GET /events: what happens, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import InvalidInput
from service.event_feed import Event
from service.predict_request import refuse_unknown
from service.problem import RequestRefused, quoted
from service.runtime import Runtime, runtime_of

EVENT_STREAM = "text/event-stream"

KEEP_ALIVE_SECONDS = 15
_SHARE = 0.9
"""Of the deadline of a request, after which a stream ends by itself and the client comes again."""

_RETRY_MILLISECONDS = 1000
_SEND_SECONDS = 10.0
_LINE_END = "\n"
_MOST_DIGITS = 18


async def get_events(request: Request) -> Response:
    """A stream of events of all workers; it ends before the deadline, to be resumed by its ids."""
    refuse_unknown(request.query_params, frozenset())
    runtime = runtime_of(request)
    after = _last_event_id(request.headers.get("last-event-id"))
    runtime.events.feed.require_room()
    await runtime.events.look()
    return EventSourceResponse(
        _stream(runtime, after),
        ping=KEEP_ALIVE_SECONDS,
        sep=_LINE_END,
        # A client that does not read is cut off rather than kept.
        send_timeout=_SEND_SECONDS,
    )


async def _stream(runtime: Runtime, after: int | None) -> AsyncIterator[ServerSentEvent]:
    """Events until the end; none where others took the last place meanwhile."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _SHARE * runtime.settings.timeout_seconds
    with suppress(RequestRefused), runtime.events.feed.subscribed(after) as subscriber:
        yield ServerSentEvent(retry=_RETRY_MILLISECONDS, sep=_LINE_END)
        while (left := end - loop.time()) > 0:
            try:
                event = await asyncio.wait_for(subscriber.waiting.get(), left)
            except TimeoutError:
                return
            yield _encoded(event)


def _encoded(event: Event) -> ServerSentEvent:
    place = None if event.place is None else str(event.place)
    return ServerSentEvent(event.data, event=event.kind.value, id=place, sep=_LINE_END)


def _last_event_id(text: str | None) -> int | None:
    """Place of the last prediction that the client has; None where it has none."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise InvalidInput("Last-Event-ID", "the id of an event of this stream", quoted(text))
    return int(text)
