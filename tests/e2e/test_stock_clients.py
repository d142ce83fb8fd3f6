"""Clients that others wrote, unchanged, against a real server.

They have an environment of their own, made by scripts/setup: they want older versions of what is
served and tested here (tritonclient: ml-dtypes and greenlet; kserve: protobuf, psutil and more).
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.served import ROOT, Server, serving, wait_until
from tests.service.small_bundle import known_inputs, publish_small

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

_BIN = ROOT / ".venv-clients" / "bin"
X = known_inputs(3, seed=4)
ROWS = json.dumps(X.tolist())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    publish_small(folder / "models", "v1")
    with serving(folder, capture_flush_seconds="0.05") as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        yield server


def _run(server: Server, script: str, cwd: Path) -> dict[str, Any]:
    command = [str(_BIN / "python"), str(ROOT / "tests/e2e/clients" / script), server.url, ROWS]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _assert_answers(server: Server, answers: list[dict[str, Any]]) -> None:
    """Every answer is that of /predict."""
    expected = server.post("/predict", {"inputs": X.tolist()}).json()["predictions"]
    for answer in answers:
        assert answer["label"] == [p["label"] for p in expected]
        for row, prediction in zip(answer["probabilities"], expected, strict=True):
            assert row == pytest.approx(list(prediction["probabilities"].values()), rel=1e-5)


def test_tritonclient(server: Server, tmp_path: Path) -> None:
    told = _run(server, "triton.py", tmp_path)
    assert told["extensions"] == ["binary_tensor_data"]
    assert {"probabilities", "label", "scores"} <= set(told["outputs"])
    assert len(told["answers"]) == 6
    _assert_answers(server, told["answers"])
    assert told["refused"].startswith("inputs[0].shape: expected [N, 2, 3]")


def test_kserve_client(server: Server, tmp_path: Path) -> None:
    told = _run(server, "kserve_rest.py", tmp_path)
    assert len(told["answers"]) == 4
    _assert_answers(server, told["answers"])
