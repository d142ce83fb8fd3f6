"""`bentoml build`, and the bento served from its own folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from service.version import VERSION
from tests.e2e.served import serving, wait_until
from tests.house.repository import ROOT
from tests.service.small_bundle import known_inputs, publish_small

LEFT_OUT = ("training", "tests", "benchmarks", "runs", "var", "requirements/dev.lock")


pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def build(store: Path) -> Path:
    """A bento in a store of bentos, and its folder there."""
    environment = {**os.environ, "BENTOML_HOME": str(store), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "--version", "probe"]
    built = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    return store / "bentos/rcmvae/probe"


def test_a_bento_holds_the_serving_side_and_serves_it(tmp_path: Path) -> None:
    bento = build(tmp_path / "bentos-of-the-test")
    described = yaml.safe_load((bento / "bento.yaml").read_text())
    assert described["service"] == "service.app:RcmVae"
    assert (bento / "src/service/app.py").is_file()
    assert (bento / "src/rcmvae/feedback/migrations/env.py").is_file()
    page = bento / "src/service/web/page"
    assert (page / "index.html").is_file()
    assert {path.suffix for path in (page / "assets").iterdir()} == {".css", ".js"}
    assert [path.name for path in (bento / "src/models").iterdir()] == ["README.md"]
    assert not [name for name in LEFT_OUT if (bento / "src" / name).exists()]
    assert "\ntorch" not in (bento / "env/python/requirements.txt").read_text()

    # So that what answers is known to be the bento's, and not this folder's.
    version = bento / "src/service/version.py"
    version.write_text(version.read_text().replace(VERSION, "0.0.0+bento"))
    publish_small(tmp_path / "service/models", "v1")
    with serving(tmp_path / "service", program=str(bento)) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        assert server.get("/v2").json()["version"] == "0.0.0+bento"
        answer = server.post("/predict", {"inputs": known_inputs(1, seed=4).tolist()})
        assert [p["label"] for p in answer.json()["predictions"]] == ["circle"]
