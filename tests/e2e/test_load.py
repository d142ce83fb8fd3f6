"""Twenty seconds of mixed load by locust against the real service: no request may fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.served import serving, wait_until
from tests.service.small_bundle import publish_small

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_mixed_load_without_a_failure(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "loadtest-1")
    with serving(tmp_path) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"),
                *("--host", server.url, "-t", "20s", "-u", "8", "-r", "8", "--only-summary"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        corrected = (
            server.metric(f'rcmvae_feedback_items_total{{novelty="{n}",source="prediction_id"}}')
            for n in ("known", "new")
        )
        assert sum(corrected) > 0
        assert server.metric('rcmvae_requests_total{route="/predict",status="200"}') > 100
