"""Without keys the service is for this machine alone."""

import ipaddress
from functools import lru_cache

from starlette.types import Scope

# Parsing an address costs more than the rest of letting a request in; hosts come from outside.
_REMEMBERED = 256


@lru_cache(_REMEMBERED)
def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine only; a name is none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def came_over_loopback(scope: Scope) -> bool:
    """Whether the connection ended at a loopback address, whatever the server is bound to."""
    server = scope.get("server")
    return server is not None and is_loopback(server[0])


@lru_cache(_REMEMBERED)
def is_named_as_this_machine(host: str) -> bool:
    """Whether a client believes that it speaks to this machine.

    A page of another origin can have its own name resolved to 127.0.0.1 (DNS rebinding), and then
    reads our answers as its own; but the browser says that name in ``Host``.

    Args:
        host: of the header, with a port or without; empty where a client of HTTP/1.0 sent none.
    """
    name, _, port = host.rpartition(":")
    name = (name if port.isdecimal() or not port else host).strip("[]").lower()
    return name in {"", "localhost"} or is_loopback(name)
