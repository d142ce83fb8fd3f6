"""``scripts/quickstart --once``, run from nothing; once a session, for all who need it."""

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rcmvae.bundle import list_versions, move_pointer, read_pointer

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class QuickstartRun:
    """A run that trained, served, taught the nine and ended.

    Attributes:
        folder: that it worked in; copy it before changing anything.
        printed: its standard output.
    """

    folder: Path
    printed: str

    def as_trained(self, target: Path) -> Path:
        """A copy of the folder as it was before anything was taught."""
        target.mkdir()
        for name in ("run", "models"):
            shutil.copytree(self.folder / name, target / name)
        models = target / "models"
        trained, *taught = list_versions(models)
        move_pointer(models, read_pointer(models), trained)
        for version in taught:
            shutil.rmtree(models / version)
        return target


def run_quickstart(
    folder: Path, *options: str, port: int | None = None
) -> subprocess.CompletedProcess[str]:
    """One run to its end, on a free port unless one is given."""
    line = [sys.executable, "scripts/quickstart.py", "--once", "--folder", str(folder), *options]
    line += ["--port", str(free_port() if port is None else port)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)


def make_quickstart_run(folder: Path) -> QuickstartRun:
    """Run it in a folder that is not there yet; it must succeed."""
    assert not folder.exists()
    done = run_quickstart(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return QuickstartRun(folder, done.stdout)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
