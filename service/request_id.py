"""The id of a request: in the reply, in every problem, and in the log lines that it causes."""

import re
import secrets
from contextvars import ContextVar

HEADER = b"x-request-id"

# Of a client's own id: what cannot break a log line, a header or a search.
_FORM = re.compile(r"[0-9A-Za-z._:+/=-]{1,128}", re.ASCII)

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
"""Of the request that this task works on; empty where there is none."""


def request_id_of(sent: str) -> str:
    """The id of a request.

    Args:
        sent: what the client calls it; empty where it does not.

    Returns:
        The same, or a new id where there is none or it does not fit.
    """
    return sent if _FORM.fullmatch(sent) else secrets.token_hex(12)
