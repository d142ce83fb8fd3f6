"""What importing the service loads."""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_service_loads_nothing_heavy_and_touches_nothing(tmp_path: Path) -> None:
    program = (
        "import sys, threading; import service.app; "
        "heavy = {'torch', 'training', 'sklearn', 'onnxscript', 'pyarrow', 'scipy.stats'}; "
        "print(sorted(heavy & set(sys.modules)), "
        "threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "BENTOML_HOME": str(tmp_path / "bentoml")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[] 1"
    assert {path.name for path in tmp_path.iterdir()} <= {"bentoml"}
