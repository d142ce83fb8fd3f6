import os
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT, tracked_files

# A Python module beside a script is the script's to call.
SCRIPTS = [
    path for path in tracked_files() if path.parts[0] in {"scripts", ".ci"} and path.suffix != ".py"
]


def test_the_scripts_are_there() -> None:
    expected = {".ci/run", "scripts/setup", "scripts/check", "scripts/test", "scripts/lock"}
    assert expected <= {str(path) for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_script_runs_by_its_name_and_stops_at_the_first_error(script: Path) -> None:
    text = (ROOT / script).read_text()
    assert os.access(ROOT / script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_ci_runs_the_tests_last() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line.startswith("scripts/")]
    assert commands == ["scripts/setup", "scripts/check", "scripts/test"]
    assert lines[-1] == commands[-1]
