"""Every scenario for a few seconds against the real service; and one against a server that lies."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, product
from pathlib import Path

import pytest

from rcmvae.bundle import move_pointer, publish_bundle
from tests.e2e.served import Server, serving, wait_until
from tests.house.repository import ROOT
from tests.service.small_bundle import small_draft

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def locust(scenario: str, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A run without a page, to its end."""
    command = [sys.executable, "-m", "locust", "-f", f"loadtest/{scenario}.py", "--headless"]
    command += ["--host", url, "--only-summary", "--stop-timeout", "10", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )


def passed(run: subprocess.CompletedProcess[str]) -> str:
    """What a run without a failure printed."""
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, and two versions that differ; the first is current."""
    folder = tmp_path_factory.mktemp("loadtest")
    publish_bundle(folder / "models", small_draft("v1"), expected_parent=None)
    publish_bundle(folder / "models", small_draft("v2", "v1", extra=60), expected_parent="v1")
    move_pointer(folder / "models", "v2", "v1")
    with serving(folder, workers="2") as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        yield server


def test_steady(served: Server) -> None:
    assert "1 row, octets" in passed(locust("steady", served.url, "-u4", "-r4", "-t2s"))


def test_large_batches(served: Server) -> None:
    options = ("-u3", "-r3", "-t3s", "--batch-rows", "512")
    assert "large, npy" in passed(locust("batches", served.url, *options))


def test_mixed_with_feedback_and_swaps(served: Server) -> None:
    options = ("-u6", "-r6", "-t4s", "--swap-seconds", "0.5")
    output = passed(locust("mixed", served.url, *options))
    assert "2 versions answered" in output
    assert served.metric("rcmvae_bundle_swaps_total") >= 4
    corrected = (
        served.metric(f'rcmvae_feedback_items_total{{novelty="{novelty}",source="{source}"}}')
        for novelty, source in product(("known", "new"), ("prediction_id", "input"))
    )
    assert sum(corrected) > 0
    assert served.get("/versions").json()["current"] == "v1"


def test_burst_into_a_full_queue(tmp_path: Path) -> None:
    publish_bundle(tmp_path / "models", small_draft("v1"), expected_parent=None)
    with serving(tmp_path, queue_rows="64") as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        phases = ("--calm-seconds", "3", "--burst-seconds", "1.5", "--bursts", "1")
        output = passed(locust("burst", server.url, "-u", "40", *phases))
        assert "burst: refused (queue-full)" in output
        assert server.metric('rcmvae_rejected_requests_total{reason="queue-full"}') > 0


def test_an_answer_of_two_versions_fails_the_run() -> None:
    with liar() as url:
        run = locust("mixed", url, "-u2", "-r2", "-t2s")
    assert run.returncode == 1
    assert "rows are not what v1 said before" in run.stderr


@contextmanager
def liar() -> Iterator[str]:
    """A server of which every other batch has one row of another version."""
    turns = count()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(
                {
                    "input": {"shape": [1], "low": 0, "high": 1},
                    "bundle_version": "v1",
                    "current": "v1",
                    "versions": [{"bundle_version": "v2"}],
                }
            )

        def do_POST(self) -> None:
            size = len(self.rfile.read(int(self.headers["Content-Length"])))
            rows = size if "dtype" in self.path else 1
            odd = next(turns) % 2 if rows > 1 else 0
            self._send(
                {
                    "bundle_version": "v1",
                    "predictions": [
                        prediction(0.1 if row or not odd else 0.9) for row in range(rows)
                    ],
                }
            )

        def _send(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def prediction(first: float) -> dict[str, object]:
    return {
        "prediction_id": "x-0",
        "label": "a",
        "ood": {"decision": "known"},
        "probabilities": {"a": first, "b": 1 - first},
        "position": [0.0, 0.0],
    }
