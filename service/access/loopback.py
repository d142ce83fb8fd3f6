"""Without keys the service is for this machine alone."""

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope


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


def is_named_as_this_machine(scope: Scope) -> bool:
    """Whether the client believes that it speaks to this machine.

    A page of another origin can have its own name resolved to 127.0.0.1 (DNS rebinding), and then
    reads our answers as its own; but the browser says that name in ``Host``.
    """
    host = Headers(scope=scope).get("host", "localhost")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]")
    return name == "localhost" or is_loopback(name)
