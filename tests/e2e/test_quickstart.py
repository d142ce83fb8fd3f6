"""The quickstart as a newcomer runs it: real training, a real server, a real correction."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_new_class_is_found_taught_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    first = _run(folder)
    assert first.returncode == 0, first.stdout + first.stderr
    before, after = _shares(first.stdout, "before"), _shares(first.stdout, "after")

    assert before["the 9"]["right"] == 0.0
    assert before["the 9"]["unknown_class"] >= 80.0
    assert before["inverted digits"]["out_of_distribution"] >= 95.0
    assert before["noise"]["out_of_distribution"] >= 95.0
    assert after["the 9"]["right"] >= 90.0
    assert after["digits 0-8"]["right"] >= before["digits 0-8"]["right"] - 1.0
    assert after["digits 0-8"]["right"] >= 97.0

    second = _run(folder)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was learned in an earlier run" in second.stdout
    assert _shares(second.stdout, "now") == after


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = _run(tmp_path, port=taken.getsockname()[1])
    assert done.returncode == 1
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


def _run(folder: Path, port: int | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "scripts/quickstart.py", "--once", "--folder", str(folder)]
    line += ["--port", str(_free_port() if port is None else port)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
