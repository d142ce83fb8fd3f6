"""The quickstart as a newcomer runs it: real training, a real server, a real correction."""

import re
import socket
from pathlib import Path

import pytest

from scripts.quickstart import Workspace
from tests.e2e.quickstart_run import QuickstartRun, run_quickstart

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_new_class_is_found_taught_and_kept(taught_quickstart: QuickstartRun) -> None:
    first = taught_quickstart.printed
    before, after = _shares(first, "before"), _shares(first, "after")

    assert before["the 9"]["right"] == 0.0
    assert before["the 9"]["unknown_class"] >= 80.0
    assert before["inverted digits"]["out_of_distribution"] >= 95.0
    assert before["noise"]["out_of_distribution"] >= 95.0
    assert after["the 9"]["right"] >= 90.0
    assert after["digits 0-8"]["right"] >= before["digits 0-8"]["right"] - 1.0
    assert after["digits 0-8"]["right"] >= 97.0

    second = run_quickstart(taught_quickstart.folder)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was learned in an earlier run" in second.stdout
    assert _shares(second.stdout, "now") == after


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    kept = tmp_path / "models" / "CURRENT"
    kept.parent.mkdir()
    kept.touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_quickstart(tmp_path, "--fresh", port=taken.getsockname()[1])
    assert done.returncode == 1
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr
    assert kept.exists(), "who serves there has lost nothing"


def test_fresh_forgets_what_a_run_made_and_nothing_else(tmp_path: Path) -> None:
    made = ("run/config.json", "models/CURRENT", "bentoml/x", "feedback.db", "feedback.db-wal")
    others = ("thesis.tex", "models.md")
    for name in (*made, *others, "service.log", "watcher.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    Workspace(tmp_path).forget()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def _shares(output: str, name: str) -> dict[str, dict[str, float]]:
    """The table's rows of one round, in per cent; a dash is left out."""
    pattern = rf"^{name}\s+(\S.*?)\s{{2,}}\d+\s+(\S+)\s+(\S+)%\s+(\S+)%\s+(\S+)%"
    rows = re.findall(pattern, output, re.MULTILINE)
    columns = ("right", "known", "unknown_class", "out_of_distribution")
    return {
        group: {
            column: float(value.rstrip("%"))
            for column, value in zip(columns, values, strict=True)
            if value != "-"
        }
        for group, *values in rows
    }
