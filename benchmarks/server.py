"""A server under measurement: started, timed until it is ready, its processes watched."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import ROOT

_PATIENCE = 180.0
_TICK = os.sysconf("SC_CLK_TCK")


class Unmeasurable(SystemExit):
    """A service does not install, does not start or does not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready.

    Attributes:
        process: the parent of the workers, or the only one.
        url: where it answers.
        startup_seconds: from its start until it said that it was ready.
    """

    process: subprocess.Popen[bytes]
    url: str
    startup_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return sum(_cpu_seconds(pid) for pid in self._pids())

    def largest_mb(self) -> float:
        """Resident memory of its largest process, a worker, in MB (10^6 bytes)."""
        return max(_resident_mb(pid) for pid in self._pids())

    def all_mb(self) -> float:
        """Resident memory of all its processes together, in MB; shared pages count in each."""
        return sum(_resident_mb(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]


@contextmanager
def launched(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    ready: str = "/readyz",
) -> Iterator[Server]:
    """A server that lives until the end of the block.

    Args:
        command: ``{port}`` in a word of it becomes a free port, ``{second_port}`` another one.
        folder: its log goes there.
        environment: what it needs beside the variables of this process, of which settings of our
            service and of BentoML are left out.
        ready: path that answers 200 once it is.

    Raises:
        Unmeasurable: it does not become ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, second_port = free_port(), free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RCMVAE_", "BENTOML_"))}
    log = folder / "log"
    with log.open("wb") as sink:
        started = time.monotonic()
        process = subprocess.Popen(
            [
                word.replace("{port}", str(port)).replace("{second_port}", str(second_port))
                for word in command
            ],
            cwd=ROOT,
            env={**kept, **environment},
            stdout=sink,
            stderr=sink,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_ready(process, url + ready, started, log)
        yield Server(process, url, time.monotonic() - started)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and those of its processes that outlive it: LitServe leaves its workers."""
    if process.poll() is not None:
        return
    started = {pid: _start_ticks(pid) for pid in descendants(process.pid)}
    process.terminate()
    process.wait(_PATIENCE)
    for pid, ticks in started.items():
        with suppress(ProcessLookupError, FileNotFoundError):
            # A number may be another process's by now.
            if _start_ticks(pid) == ticks:
                os.kill(pid, signal.SIGKILL)


def _wait_ready(process: subprocess.Popen[bytes], url: str, started: float, log: Path) -> None:
    while not _answers(url):
        if process.poll() is not None or time.monotonic() - started > _PATIENCE:
            text = log.read_text(encoding="utf-8", errors="replace")
            raise Unmeasurable(f"{url}: a server did not become ready:\n{text[-2000:]}")
        time.sleep(0.02)


def is_ready(url: str) -> bool:
    """Whether /readyz answers 200."""
    return _answers(f"{url}/readyz")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def descendants(pid: int) -> list[int]:
    """Ids of the processes that a process has started, and of theirs."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    direct = [int(child) for child in listed.split()]
    return [*direct, *(deeper for child in direct for deeper in descendants(child))]


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK


def _start_ticks(pid: int) -> int:
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[str]:
    """Fields of proc(5) from the third on, after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
