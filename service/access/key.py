"""API keys: how one is made, written down and recognised.

A key is ``rcmvae_ID_SECRET``: 12 hexadecimal digits by which it is found, and 256 random bits. Its
file holds the SHA-256 of the whole key. That is enough, and what GitHub, GitLab and Stripe do: a
slow hash (argon2, bcrypt) protects secrets that people choose and that can be guessed; 256 random
bits cannot, however fast the hash, and a slow one would cost every request tens of milliseconds.
"""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.access.principal import Principal, Scope

_FORM = re.compile(r"rcmvae_([0-9a-f]{12})_[0-9A-Za-z_-]{43}")
_ID_BYTES = 6
_SECRET_BYTES = 32

KeyName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._@-]{0,63}$")]


class Key(BaseModel):
    """A key as its file holds it.

    Attributes:
        key_id: the part of the key by which it is found; no secret.
        name: its owner.
        scopes: what it is good for.
        sha256: of the whole key, in hexadecimal.
        created: when it was made.
        expires: from when it is refused; never without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: KeyName
    scopes: tuple[Scope, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @property
    def principal(self) -> Principal:
        """Its owner, with its scopes."""
        return Principal(self.name, frozenset(self.scopes))

    def opens_with(self, presented: str, now: datetime) -> bool:
        """Whether this is the key that was presented, and is still good; in constant time."""
        is_same = hmac.compare_digest(self.sha256, _digest(presented))
        return is_same and (self.expires is None or now < self.expires)


def new_key(
    name: str, scopes: tuple[Scope, ...], expires: datetime | None = None
) -> tuple[str, Key]:
    """A new key as its owner gets it, and as the file holds it.

    Raises:
        ValueError: the name does not fit `KeyName`, or `expires` has no time zone.
    """
    key_id = secrets.token_hex(_ID_BYTES)
    presented = f"rcmvae_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return presented, Key(
        key_id=key_id,
        name=name,
        scopes=scopes,
        sha256=_digest(presented),
        created=datetime.now(UTC),
        expires=expires,
    )


def id_of(presented: str) -> str | None:
    """The id in a presented key, or None where it has not the form of one."""
    match = _FORM.fullmatch(presented)
    return match[1] if match else None


def _digest(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()
