"""A worker whose parent is gone stops itself."""

import asyncio
import os
import signal

import pytest

from service.orphan import SERVER_VARIABLE, ParentWatch


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Signals that would have been sent."""
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)))
    return signals


@pytest.mark.parametrize(
    ("at_start", "announced", "later", "stops"),
    [
        (50, None, 50, False),
        (50, "50", 50, False),
        (50, "50", 1, True),
        (1, "1", 1, False),
        (1, None, 1, False),
        (1, "50", 1, True),
        (50, "60", 50, False),
    ],
)
def test_stops_when_the_parent_is_gone(
    monkeypatch: pytest.MonkeyPatch,
    sent: list[tuple[int, int]],
    at_start: int,
    announced: str | None,
    later: int,
    stops: bool,
) -> None:
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    if announced is not None:
        monkeypatch.setenv(SERVER_VARIABLE, announced)
    monkeypatch.setattr(os, "getppid", lambda: at_start)
    watch = ParentWatch()
    monkeypatch.setattr(os, "getppid", lambda: later)
    asyncio.run(watch.check())
    assert sent == ([(os.getpid(), signal.SIGTERM)] if stops else [])
