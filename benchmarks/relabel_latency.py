"""Seconds from the last label to the new version on every worker, and in which stage they go.

python -m benchmarks.relabel_latency --models models --data digits --json result.json

Real processes on a copy of the models folder: a server with several workers, and a watcher. Ten
labels of unlabelled inputs are posted; the clock runs from the 202 until /metrics says that every
worker serves the new version. Stages: until the watcher holds the job, until the pointer has moved,
until every worker serves. With --beside-refit a refit is asked for first, and has to run all the
time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.result import (
    Result,
    add_options,
    figure_of,
    print_figures,
    provenance,
    write_result,
)
from benchmarks.server import free_port
from rcmvae.bundle import load_current
from training.config import from_json
from training.data import load_source

ROOT = Path(__file__).parents[1]
LABELS = 10
PATIENCE = 60.0
FIRST_EPOCH = 600.0
"""Seconds that the first epoch of a refit may take."""

OPEN = ("queued", "claimed")
"""What a label may be until a job has settled it."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round, stage by stage."""

    noticed: float
    made: float
    served: float

    @property
    def total(self) -> float:
        """From the last label to every worker."""
        return self.noticed + self.made + self.served


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relabel_latency", description=__doc__
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--beside-refit", action="store_true", help="while a refit runs")
    add_options(parser)
    options = parser.parse_args(given)
    origin = provenance("relabel_latency", given)
    rounds = 2 if options.quick else options.rounds
    x, names = _examples(options.models)
    with TemporaryDirectory(prefix="relabel-latency-") as folder:
        shutil.copytree(options.models, Path(folder) / "models")
        with running(Path(folder), options.workers) as client:
            if options.beside_refit:
                begin_refit(client)
            seen = [
                _round(
                    client,
                    Path(folder),
                    options.workers,
                    x[i::rounds][:LABELS],
                    names[i::rounds][:LABELS],
                )
                for i in range(rounds)
            ]
            if options.beside_refit and not refit_runs(client):
                raise RuntimeError("expected a refit to run until the last round, got its end")
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=(0,),
        config={
            "workers": options.workers,
            "labels": LABELS,
            "beside_refit": options.beside_refit,
        },
        figures={
            "noticed (s)": figure_of([r.noticed for r in seen]),
            "made and promoted (s)": figure_of([r.made for r in seen]),
            "on every worker (s)": figure_of([r.served for r in seen]),
            "seconds_to_served": figure_of([r.total for r in seen]),
        },
    )
    print_figures(result.figures)
    if options.json is not None:
        write_result(result, options.json)
    return 0


def _examples(models: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Training inputs of the current bundle's source, and their true labels."""
    source = load_source(from_json(load_current(models).manifest.configuration).data.source)
    drawn = np.random.default_rng(0).permutation(len(source.train))[:1000]
    part = source.train.take(drawn)
    return part.x, [str(source.labels[y]) for y in part.y]


@contextmanager
def running(
    folder: Path,
    workers: int,
    settings: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[httpx.Client]:
    """A server and a watcher on ``folder``, until the end of the block.

    Args:
        folder: holds ``models``; store and log go there.
        workers: of the server.
        settings: environment variables besides.
        headers: of every request.
    """
    port = free_port()
    environment = {
        **os.environ,
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RCMVAE_MODELS_DIR": str(folder / "models"),
        "RCMVAE_STORE_URL": f"sqlite:///{folder / 'feedback.db'}",
        "RCMVAE_WORKERS": str(workers),
        **(settings or {}),
    }
    server = ["bentoml", "serve", "service.app:RcmVae", "--port", str(port)]
    with (folder / "log").open("ab") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *line], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
            for line in (server, ["training", "retrain", "--watch"])
        ]
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=PATIENCE, headers=headers) as client:
            version = (folder / "models" / "CURRENT").read_text().strip()
            wait_for(client, version, workers)
            yield client
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=PATIENCE)


def _round(
    client: httpx.Client, folder: Path, workers: int, x: NDArray[np.float32], names: list[str]
) -> Round:
    items = [
        {"input": row.ravel().tolist(), "label": name} for row, name in zip(x, names, strict=True)
    ]
    pointer = folder / "models" / "CURRENT"
    posted = client.post("/feedback", json={"items": items}).raise_for_status().json()
    start = time.time()
    wait_until_settled(client, posted)
    # A batch that the gate parts makes several versions: the last one counts.
    moved, version = pointer.stat().st_mtime, pointer.read_text().strip()
    served = wait_for(client, version, workers)
    taken = _relabel_started(client)
    return Round(taken - start, moved - taken, served - moved)


def wait_until_settled(client: httpx.Client, posted: Mapping[str, Any]) -> None:
    """Until none of the items of an answer of POST /feedback waits for a job or is held by one."""
    end = time.time() + PATIENCE
    for item in posted["items"]:
        while (state := client.get(f"/feedback/{item['feedback_id']}").json())["status"] in OPEN:
            if time.time() > end:
                raise TimeoutError(f"expected a label to be settled, got {state}")
            time.sleep(0.02)


def begin_refit(client: httpx.Client) -> None:
    """Ask for a refit, and wait until its training runs."""
    client.post("/retrain", json={"method": "refit"}).raise_for_status()
    end = time.time() + FIRST_EPOCH
    while not (refit_runs(client) and client.get("/retrain").json()["job"]["progress"] > 0):
        if time.time() > end:
            raise TimeoutError("expected a refit to begin, got none")
        time.sleep(0.1)


def refit_runs(client: httpx.Client) -> bool:
    """Whether a refit holds its job."""
    jobs = client.get("/retrain").json()["history"]
    return any(job["method"] == "refit" and job["state"] == "running" for job in jobs)


def _relabel_started(client: httpx.Client) -> float:
    jobs = client.get("/retrain").json()["history"]
    newest = next(job for job in jobs if job["method"] == "relabel")
    return datetime.fromisoformat(newest["started"]).timestamp()


def wait_for(client: httpx.Client, version: str, workers: int) -> float:
    """When every worker serves a version."""
    line = f'rcmvae_bundle_info{{bundle_version="{version}"}} {float(workers)}'
    end = time.time() + PATIENCE
    while time.time() < end:
        try:
            if line in client.get("/metrics").text:
                return time.time()
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"not every worker serves {version}")


if __name__ == "__main__":
    sys.exit(main())
