"""A real ``bentoml serve`` process on a free port of the loopback address."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.processes import children, kill, runs

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
_PROGRAM = "service.app:RcmVae"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        process: the parent of the workers.
        url: where it answers.
        folder: of its models, store and log.
        key: that requests are sent with, if any.
    """

    process: subprocess.Popen[bytes]
    url: str
    folder: Path
    key: str | None = None

    @property
    def models(self) -> Path:
        """Folder of the bundles."""
        return self.folder / "models"

    @property
    def store_url(self) -> str:
        """The feedback store."""
        return f"sqlite:///{self.folder / 'feedback.db'}"

    @property
    def log(self) -> str:
        """Everything that it wrote so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> httpx.Response:
        """GET over a connection of its own, so that any worker may answer."""
        return httpx.get(self.url + path, headers=self._headers, timeout=PATIENCE)

    def post(self, path: str, document: object) -> httpx.Response:
        """POST JSON over a connection of its own."""
        return httpx.post(self.url + path, json=document, headers=self._headers, timeout=PATIENCE)

    @property
    def _headers(self) -> dict[str, str]:
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def metric(self, sample: str) -> float:
        """Value of a sample by its name with labels, as the text format writes it; 0 if absent."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def kill(self) -> None:
        """SIGKILL for the parent and all workers; each worker leads a session of its own."""
        workers = self.workers()
        self.process.kill()
        for worker in workers:
            kill(worker)
        self.process.wait()
        wait_until(lambda: not any(runs(worker) for worker in workers), "workers killed")

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return children(self.process.pid)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def start(
    folder: Path,
    *,
    host: str | None = None,
    port: str | None = None,
    program: str = _PROGRAM,
    **settings: str,
) -> Server:
    """Start a server without waiting for it.

    Args:
        folder: for its models, store and log.
        host: to listen at.
        port: to listen at; without it a free one.
        program: what BentoML serves, this repository's service or a folder of its own.
        settings: variables without their prefix.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or str(free_port())
    command = [sys.executable, "-m", "bentoml", "serve", program]
    command += ["--port", port, *(["--host", host] if host else [])]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT if program == _PROGRAM else folder,
            env=_environment(folder, settings),
            stdout=log,
            stderr=log,
        )
    return Server(process, f"http://127.0.0.1:{port}", folder)


@contextmanager
def serving(
    folder: Path, *, port: str | None = None, program: str = _PROGRAM, **settings: str
) -> Iterator[Server]:
    """A server that lives, until the end of the block; arguments as of `start`."""
    server = start(folder, port=port, program=program, **settings)
    try:
        wait_until(lambda: _lives(server), f"livez\n{server.log}")
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def _lives(server: Server) -> bool:
    assert server.process.poll() is None, server.log
    try:
        return server.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def _environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    own = {
        "BENTOML_HOME": str(folder / "bentoml"),
        # What a killed server leaves behind goes with the test's folder.
        "TMPDIR": str(folder),
        "BENTOML_DO_NOT_TRACK": "True",
        "RCMVAE_MODELS_DIR": str(folder / "models"),
        "RCMVAE_STORE_URL": f"sqlite:///{folder / 'feedback.db'}",
        "RCMVAE_POLL_SECONDS": "0.1",
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RCMVAE_", "BENTOML_"))}
    inherited.pop("PROMETHEUS_MULTIPROC_DIR", None)
    return inherited | own | {f"RCMVAE_{k.upper()}": v for k, v in settings.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
