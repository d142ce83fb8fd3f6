"""What /openapi.json says of a real server with keys, to schemathesis and a generated client."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access import Scope
from tests.e2e.served import ROOT, Server, serving, wait_until
from tests.service.bad_requests import MAX_ROWS
from tests.service.small_bundle import known_inputs, publish_small
from tests.service.test_keys import added

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_CONFIG = ROOT / "tests/e2e/schemathesis.toml"
_CLIENTS = ROOT / ".venv-clients" / "bin"


@dataclass(frozen=True, slots=True)
class Keyed:
    """A server and keys to it."""

    server: Server
    admin: str
    reader: str

    def ask(self, body: object) -> list[dict[str, Any]]:
        """The predictions for the body of a request."""
        headers = {"Authorization": f"Bearer {self.admin}"}
        answer = httpx.post(f"{self.server.url}/predict", json=body, headers=headers).json()
        predictions: list[dict[str, Any]] = answer["predictions"]
        return predictions


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("server")
    publish_small(folder / "models", "v1")
    path = folder / "keys.json"
    admin, reader = added(path, "ada", Scope.ADMIN), added(path, "prometheus")
    with serving(
        folder, max_rows=str(MAX_ROWS), keys_file=str(path), capture_flush_seconds="0.05"
    ) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        yield Keyed(server, admin, reader)


def test_a_generated_client(keyed: Keyed, tmp_path: Path) -> None:
    """It knows of the key, and of refusals by their status."""
    document = keyed.server.get("/openapi.json")
    (tmp_path / "openapi.json").write_bytes(document.content)
    command = [
        str(_CLIENTS / "openapi-python-client"),
        *("generate", "--path", "openapi.json", "--meta", "none"),
        *("--output-path", "generated_client"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.stem for path in (tmp_path / "generated_client/api/default").glob("[a-z]*.py")}
    paths = document.json()["paths"].values()
    assert written == {one["operationId"] for methods in paths for one in methods.values()}
    inputs = known_inputs(3, seed=4).tolist()
    script = [str(_CLIENTS / "python"), str(ROOT / "tests/e2e/clients/generated.py")]
    script += [keyed.server.url, json.dumps(inputs), keyed.admin, keyed.reader]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    expected = keyed.ask({"inputs": inputs, "alpha": 0.2})
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "ready": "v1",
        "labels": [p["label"] for p in expected],
        "decisions": [p["ood"]["decision"] for p in expected],
        "alpha": 0.2,
        "corrected": True,
        "in octets": [p["label"] for p in expected],
        "inferred": [p["label"] for p in expected],
        "refused": {
            "a bad row": [422, "inputs[0]"],
            "no scope": [403, "Authorization"],
            "no key of ours": [401, "Authorization"],
            "no such item": [404, "feedback_id"],
        },
    }


def test_the_document_is_true(keyed: Keyed, tmp_path: Path) -> None:
    """All phases and all checks, with a fixed seed; and nothing unexpected in the log."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG)),
        *("run", f"{keyed.server.url}/openapi.json"),
        *(
            "--phases=examples,coverage,fuzzing,stateful",
            "-H",
            f"Authorization: Bearer {keyed.admin}",
        ),
        *("--seed=1", "--max-examples=6", "--generation-database=none", "--no-color"),
        *("--no-shrink", "--warnings=off", "--request-timeout=20"),
        # A stream ends after most of a minute; tests/e2e/test_page_data.py reads it.
        "--exclude-path=/events",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Test cases:" in done.stdout
    assert "Traceback" not in keyed.server.log
