"""What RCMVAE_TRACING costs: CPU time of a worker for a request, with and without.

``python -m benchmarks.tracing_cost --models models``
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

_WARM_UP = 100
_TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    costs: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(given.rounds):
        for tracing, measured in costs.items():
            with _server(given.models.resolve(), tracing=tracing) as (url, worker):
                measured.append(_cost(url, worker, given.requests))
    for tracing, measured in costs.items():
        spread = ", ".join(f"{cost:.0f}" for cost in sorted(measured))
        print(
            f"tracing {'on ' if tracing else 'off'}  "
            f"{statistics.median(measured):.0f} us of CPU a request  ({spread})"
        )
    return 0


def _cost(url: str, worker: int, requests: int) -> float:
    """Microseconds of the worker's CPU time for one request of one input."""
    with httpx.Client(base_url=url, timeout=60) as client:
        shape = client.get("/bundle").json()["input"]
        size = 1
        for extent in shape["shape"]:
            size *= extent
        body = {"inputs": [[shape["low"]] * size]}
        for _ in range(_WARM_UP):
            client.post("/predict", json=body).raise_for_status()
        start = _cpu_seconds(worker)
        for _ in range(requests):
            client.post("/predict", json=body).raise_for_status()
        return 1e6 * (_cpu_seconds(worker) - start) / requests


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def _server(models: Path, *, tracing: bool) -> Iterator[tuple[str, int]]:
    """A server of one worker: where it answers, and the worker's process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", "service.app:RcmVae", "--port", str(port)]
    with TemporaryDirectory() as folder:
        own = {
            "BENTOML_HOME": f"{folder}/bentoml",
            "BENTOML_DO_NOT_TRACK": "True",
            "RCMVAE_MODELS_DIR": str(models),
            "RCMVAE_STORE_URL": f"sqlite:///{folder}/feedback.db",
            "RCMVAE_TRACING": str(tracing),
        }
        process = subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_ready(url)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield url, int(children.read_text(encoding="ascii").split()[0])
        finally:
            process.terminate()
            process.wait()


def _wait_ready(url: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"{url} was not ready within two minutes")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
