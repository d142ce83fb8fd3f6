"""A hashed requirements file, parsed."""

import re
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(r"([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(\S+?)(?: ; .+)?")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]


def read_lock(path: Path) -> list[Pin]:
    """Parse a lock file, refusing every line that is neither a pin nor a comment."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [_pin(line) for line in joined.splitlines() if line.strip()]


def _pin(line: str) -> Pin:
    requirement, *hashes = line.split("--hash=")
    requirement = requirement.strip()
    match = _PIN.fullmatch(requirement)
    if match is None:
        raise ValueError(f"not a pinned requirement: {requirement!r}")
    return Pin(match[1], match[2], tuple(found.strip() for found in hashes))
