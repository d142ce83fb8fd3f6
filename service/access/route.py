"""A route that says whom it is for, and asks."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from service.access.challenge import require_scope
from service.access.principal import Scope, note_principal


class Access(Enum):
    """Whom a route is for, where it is no one scope."""

    OPEN = "open"
    """Everybody: health for orchestrators, documents and the page's files, which are public."""
    ANY_KEY = "any key"
    """Whoever has a key, also one without scopes."""


class ScopedRoute(Route):
    """A route with what a request needs to be let in.

    Args:
        path: as Starlette writes it.
        endpoint: what answers.
        methods: it answers.
        needs: a scope, or whom else it is for.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        methods: Sequence[str],
        needs: Access | Scope,
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.needs = needs

    def admit(self, scope: AsgiScope) -> None:
        """Let the request in, before its body is read.

        Raises:
            RequestRefused: it may not come in.
        """
        if self.needs is Access.OPEN:
            return
        principal = scope["app"].state.runtime.admission.admit(scope)
        note_principal(scope, principal)
        if isinstance(self.needs, Scope):
            require_scope(principal, self.needs)

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let the request in, and answer it."""
        self.admit(scope)
        await super().handle(scope, receive, send)


class Need(NamedTuple):
    """What one method of a route needs.

    Attributes:
        path: as Starlette writes it.
        method: lower case.
        needs: a scope, or whom else it is for.
    """

    path: str
    method: str
    needs: Access | Scope


def needs_of(routes: Iterable[BaseRoute]) -> frozenset[Need]:
    """What every method of every route needs."""
    scoped = (route for route in routes if isinstance(route, ScopedRoute))
    return frozenset(
        Need(route.path, method.lower(), route.needs)
        for route in scoped
        for method in route.methods or ()
    )
