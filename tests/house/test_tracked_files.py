import re
from collections.abc import Iterator

import pytest

from tests.house.repository import ROOT, tracked_files

# Put together here, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("download", "pytorch", "org"),
    )
]
# A path under someone's home or workplace, but not a URL's path or a part of a longer one.
MACHINE_PATH = re.compile(r"(?<![\w.:/*$}])/(?:root|work|home/\w+|Users/\w+|opt/wheels)/\w")


def text_files() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        try:
            yield str(path), (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def machine_paths(text: str) -> list[str]:
    found = [match[0] for match in MACHINE_PATH.finditer(text)]
    return found + [str(ROOT)] * (f"{ROOT}/" in text)


@pytest.mark.parametrize("text", ["see /root/" + "x", "PATH=/home/" + "me/bin", f"{ROOT}/rcmvae"])
def test_a_machine_path_is_recognised(text: str) -> None:
    assert machine_paths(text)


@pytest.mark.parametrize("text", ["http://host/work/x", "$HOME/work/x", "frame/work/x", "/app/x"])
def test_other_paths_are_not(text: str) -> None:
    assert not machine_paths(text)


def test_no_tracked_file_names_a_path_of_this_machine() -> None:
    offenders = {name: found for name, text in text_files() if (found := machine_paths(text))}
    assert not offenders


def test_no_tracked_file_names_a_registry_host() -> None:
    offenders = {
        name: host for name, text in text_files() for host in REGISTRY_HOSTS if host in text
    }
    assert not offenders


def test_nothing_made_by_a_run_is_tracked() -> None:
    made = {"runs", "var", ".venv", ".venv-clients", "dist", "build"}
    assert not [str(path) for path in tracked_files() if path.parts[0] in made]
    assert [str(path) for path in tracked_files() if path.parts[0] == "models"] in (
        [],
        ["models/README.md"],
    )
