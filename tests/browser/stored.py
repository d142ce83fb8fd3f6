"""What a test stored in a service that it shares with others."""

import sqlite3

from tests.e2e.served import Server


class Stored:
    """Rows of feedback that came since this was made."""

    def __init__(self, server: Server) -> None:
        self._path = server.folder / "feedback.db"
        self._before = len(self._rows())

    def _rows(self) -> list[tuple[str, str, str]]:
        with sqlite3.connect(self._path) as database:
            rows = database.execute(
                "SELECT prediction_id, label, status FROM feedback ORDER BY seq"
            ).fetchall()
        return [(str(about), str(label), str(status)) for about, label, status in rows]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What each is about (None for a reference point), its label and its status."""
        return self._rows()[self._before :]
