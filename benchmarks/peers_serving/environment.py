"""The virtual environment of a peer, made once for one lock of packages."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.result import ROOT
from benchmarks.server import Unmeasurable

_HERE = Path(__file__).parent
_KEPT = ROOT / "var" / "peers"
_SAID = 400
"""Characters of what pip said last that a result keeps."""


def peer_python(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there yet.

    Args:
        name: of the lock ``NAME.lock`` beside this file.

    Raises:
        Unmeasurable: pip could not install the packages.
    """
    packages = _HERE / f"{name}.lock"
    folder = _KEPT / f"{name}-{hashlib.sha256(packages.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists():
        return python
    print(f"installing {packages.name} into an environment of its own", file=sys.stderr)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--require-hashes", "--no-deps", "-r", str(packages)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        if run.returncode:
            said = (run.stderr or run.stdout).strip()[-_SAID:]
            raise Unmeasurable(f"{name}: its packages could not be installed: {said}")
    done.touch()
    return python
