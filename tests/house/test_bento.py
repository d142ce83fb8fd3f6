import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.house.repository import ROOT

LEFT_OUT = ("training", "tests", "benchmarks", "runs", "var", "requirements/dev.lock")


@pytest.mark.e2e
def test_bentoml_build_makes_a_bento_of_the_serving_side(tmp_path: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "--version", "probe"]
    built = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    bento = tmp_path / "bentos/rcmvae/probe"
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
