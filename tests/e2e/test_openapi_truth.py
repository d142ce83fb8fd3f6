"""/openapi.json says what a real server does: schemathesis finds no error and no violation."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.served import ROOT, serving, wait_until
from tests.service.bad_requests import MAX_ROWS
from tests.service.small_bundle import publish_small

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_CONFIG = ROOT / "tests/e2e/schemathesis.toml"


def test_the_document_is_true(tmp_path: Path) -> None:
    """All phases and all checks, with a fixed seed; and nothing unexpected in the log."""
    publish_small(tmp_path / "models", "v1")
    with serving(tmp_path, max_rows=str(MAX_ROWS)) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG)),
            *("run", f"{server.url}/openapi.json", "--phases=examples,coverage,fuzzing,stateful"),
            *("--seed=1", "--max-examples=6", "--generation-database=none", "--no-color"),
            *("--no-shrink", "--warnings=off", "--request-timeout=20"),
            # A stream ends after most of a minute; tests/e2e/test_page_data.py reads it.
            "--exclude-path=/events",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "Test cases:" in done.stdout
        assert "Traceback" not in server.log
