"""A configuration from a TOML file and from flags on top of it."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from rcmvae.errors import InvalidInput
from training.config import RunConfig, from_json


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """The defaults, then the TOML file, then ``section.field=value`` overrides.

    Args:
        path: a TOML file with the tree's sections, or None.
        overrides: such as ``fit.epochs=10``; the value is TOML, a bare word is a string.

    Raises:
        InvalidInput: the file or an override does not fit.
    """
    tree: dict[str, object] = dict(_read_toml(path)) if path is not None else {}
    for override in overrides:
        _apply_override(tree, override)
    return from_json(tree)


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("config", "a readable TOML file", f"{path.name}: {error}") from None


def _apply_override(tree: dict[str, object], override: str) -> None:
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise InvalidInput("--set", "section.field=value", repr(override)[:80])
    *sections, leaf = name.split(".")
    node = tree
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise InvalidInput("--set", "a section that exists", repr(section)[:80])
        node = child
    node[leaf] = _toml_value(text)


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
