"""What tests of several folders share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.postgresql import PostgresServer, postgres_server
from tests.e2e.quickstart_run import QuickstartRun, make_quickstart_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.training.tiny import TinyRun


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the session; it starts with the first test that asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """The tiny run of training, trained and exported with the first test that asks for it."""
    # Torch is loaded where it is needed.
    from tests.training.tiny import make_tiny_run

    return make_tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def taught_quickstart(tmp_path_factory: pytest.TempPathFactory) -> QuickstartRun:
    """What the quickstart leaves after its first run with --once."""
    return make_quickstart_run(tmp_path_factory.mktemp("quickstart") / "folder")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty feedback store, on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'feedback.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()
