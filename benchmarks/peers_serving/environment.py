"""The virtual environment of a peer, made once for one list of packages."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.result import ROOT

_HERE = Path(__file__).parent
_KEPT = ROOT / "var" / "peers"


def peer_python(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there yet.

    Args:
        name: of the list ``NAME.txt`` beside this file.

    Raises:
        SystemExit: pip could not install the packages.
    """
    packages = _HERE / f"{name}.txt"
    folder = _KEPT / f"{name}-{hashlib.sha256(packages.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists():
        return python
    print(f"installing {packages.name} into an environment of its own", file=sys.stderr)
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(packages)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"{name}: its packages could not be installed; see above")
    done.touch()
    return python
