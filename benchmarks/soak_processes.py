"""The processes of the kill soak: a service and watchers, killed by SIGKILL and started again."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.result import ROOT
from benchmarks.server import descendants

WATCHERS = 2
LEASE_SECONDS = 2.0
WORKERS = 2


class Victim:
    """A process that is started again after every kill.

    Args:
        name: for the figures.
        command: what runs.
        environment: beside the variables of this process.
        log: everything that it writes is added there.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._process = self._start()

    def kill(self) -> None:
        """SIGKILL for it and all that it has started."""
        # A worker leads a session of its own, and the parent would start another at once.
        for pid in self.family():
            _kill(pid)
        self._process.wait()

    def family(self) -> list[int]:
        """Its process id, and those of all that it has started."""
        return [self._process.pid, *self._descendants()]

    def kill_a_child(self, chance: random.Random) -> bool:
        """SIGKILL for one of the processes that it started; whether there was one."""
        found = self._descendants()
        if found:
            _kill(chance.choice(found))
        return bool(found)

    def start(self) -> None:
        """Start it again."""
        self._process = self._start()

    def require_well(self) -> None:
        """Nobody but the soak may end it.

        Raises:
            SystemExit: it has ended, with what it wrote last.
        """
        if self._process.poll() is not None:
            text = self._log.read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"{self.name} ended by itself:\n{text[-4000:]}")

    def _descendants(self) -> list[int]:
        # One of them may end while it is asked.
        with suppress(FileNotFoundError, ProcessLookupError):
            return descendants(self._process.pid)
        return []

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._command],
                cwd=ROOT,
                env=dict(self._environment),
                stdout=log,
                stderr=log,
            )


def service(folder: Path, store: str, port: int) -> Victim:
    """The service on the bundles in ``folder``."""
    command = ["bentoml", "serve", "service.app:RcmVae", "--port", str(port)]
    return Victim("service", command, _environment(folder, store), folder / "service.log")


def watcher(folder: Path, store: str, number: int) -> Victim:
    """A watcher on the bundles in ``folder``, without a guard: every label is to be applied."""
    command = ["training", "retrain", "--watch", "--no-guard", "--lease", f"{LEASE_SECONDS:g}"]
    log = folder / f"watcher-{number}.log"
    return Victim("watcher", command, _environment(folder, store), log)


def _environment(folder: Path, store: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RCMVAE_", "BENTOML_"))}
    return kept | {
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        # What a killed server leaves behind goes with the folder.
        "TMPDIR": str(folder),
        "RCMVAE_MODELS_DIR": str(folder / "models"),
        "RCMVAE_STORE_URL": store,
        "RCMVAE_WORKERS": str(WORKERS),
    }


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
