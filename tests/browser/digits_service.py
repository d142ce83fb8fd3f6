"""A service that digits were sent to, with a watcher beside it that learns when it is asked."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.browser.chromium import ROOT
from tests.e2e.served import Server, serving, wait_until
from tests.training.tiny import TinyRun, unseen

EACH = 15
"""Inputs of each digit that are sent."""


@contextmanager
def digits_service(tiny: TinyRun, folder: Path, **settings: str) -> Iterator[Server]:
    """Serves a copy of the tiny bundle; unseen digits, nines among them, have been predicted."""
    tiny.copy_models(folder)
    with serving(folder, **{"capture_flush_seconds": "0.05", **settings}) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        x = np.concatenate([unseen(digit, EACH) for digit in range(10)])
        answer = server.post("/predict", {"inputs": x.reshape(len(x), -1).tolist()})
        assert answer.status_code == 200, answer.text
        wait_until(lambda: captures(server) == len(x), "the inputs are on the map")
        yield server


def captures(server: Server) -> int:
    """How many inputs that were sent are on the map."""
    table = pa.ipc.open_stream(server.get("/latent-map?sources=capture").content).read_all()
    return len(table)


@contextmanager
def watcher(server: Server) -> Iterator[None]:
    """The process that learns what the page asks for."""
    line = [sys.executable, "-m", "training", "retrain", "--watch"]
    line += ["--models", str(server.models), "--store", server.store_url]
    with (server.folder / "watcher.log").open("ab") as log:
        process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
