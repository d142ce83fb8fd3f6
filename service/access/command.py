"""``python -m service keys``: make, list and remove keys."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from rcmvae.errors import KeyFileError
from service.access.key import Key, new_key
from service.access.key_file import KeyFile, change_keys, read_keys
from service.access.principal import Scope
from service.settings import Settings, environment_name

_MOST_DAYS = 36_500


def keys_command(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        SystemExit: the arguments or the file do not fit; the message says what.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    path: Path | None = given.file or Settings().keys_file
    if path is None:
        parser.error(f"which file? Set {environment_name('keys_file')}, or give --file")
    try:
        if given.action == "new":
            _new(path, given.name, tuple(given.scope), given.expires_days)
        elif given.action == "list":
            _list(path)
        else:
            _remove(path, given.key_id)
    except KeyFileError as error:
        parser.exit(1, f"{error}\n")
    except ValidationError:
        parser.error("NAME: expected 1 to 64 of A-Z a-z 0-9 . _ @ -, a letter or digit first")


def _new(path: Path, name: str, scopes: tuple[Scope, ...], expires_days: float | None) -> None:
    expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    presented, key = new_key(name, scopes, expires)
    change_keys(path, lambda file: KeyFile(keys=(*file.keys, key)))
    print(presented)


def _list(path: Path) -> None:
    for key in read_keys(path).keys:
        print(_line(key))


def _remove(path: Path, key_id: str) -> None:
    def without(file: KeyFile) -> KeyFile:
        kept = tuple(key for key in file.keys if key.key_id != key_id)
        if len(kept) == len(file.keys):
            raise KeyFileError(f"{path}: no key has the id {key_id[:64]!r}")
        return KeyFile(keys=kept)

    change_keys(path, without)


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= _MOST_DAYS:
        raise ValueError
    return days


def _line(key: Key) -> str:
    expires = "never" if key.expires is None else f"{key.expires:%Y-%m-%dT%H:%M:%SZ}"
    scopes = ",".join(key.scopes) or "-"
    return f"{key.key_id}  {key.name}  {scopes}  expires {expires}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m service keys", description="API keys.")
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a key, and print it this once")
    new.add_argument("name", help="its owner")
    new.add_argument(
        "--scope", action="append", default=[], type=Scope, choices=list(Scope), help="repeatable"
    )
    new.add_argument("--expires-days", type=_days, help="from when it is refused; else never")
    remove = actions.add_parser("remove", help="refuse a key from now on")
    remove.add_argument("key_id", help="as list shows it")
    for action in (new, remove, actions.add_parser("list", help="ids, owners and scopes")):
        action.add_argument("--file", type=Path, help="without it the one of the setting")
    return parser
