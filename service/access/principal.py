"""Who sent a request, and what the sender may do."""

from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request
from starlette.types import Scope as AsgiScope

_MEMBER = "rcmvae.principal"


class Scope(StrEnum):
    """What a key may be good for; every key may read what the service says of itself."""

    PREDICT = "predict"
    """Ask for predictions, and see what was predicted."""
    FEEDBACK = "feedback"
    """Post and withdraw feedback with labels that the bundle knows."""
    LABELS = "labels"
    """With `FEEDBACK`: also labels that the bundle does not know."""
    ADMIN = "admin"
    """Everything, retraining and promoting included."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request.

    Attributes:
        name: of the key's owner, or ``anonymous``; several keys may have one owner.
        scopes: what the key is good for.
        has_key: whether it has one; without, the name is nobody's.
    """

    name: str
    scopes: frozenset[Scope]
    has_key: bool = True

    def may(self, scope: Scope) -> bool:
        """Whether the sender has the scope; ``admin`` has all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANONYMOUS = Principal("anonymous", frozenset(Scope), has_key=False)
"""Everybody, where no keys are configured."""


def principal_of(request: Request) -> Principal:
    """Who sent a request; on routes open to everyone it is nobody in particular."""
    principal: Principal = request.scope.get(_MEMBER, _NOBODY)
    return principal


def owner_name(scope: AsgiScope) -> str:
    """The name of the sender, for the log."""
    principal: Principal = scope.get(_MEMBER, _NOBODY)
    return principal.name


def note_principal(scope: AsgiScope, principal: Principal) -> None:
    """Remember who sent a request."""
    scope[_MEMBER] = principal


_NOBODY = Principal("anonymous", frozenset(), has_key=False)
