"""The services that are measured side by side: ours, and the peers over the same encoder."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers_serving.environment import peer_python
from benchmarks.server import Server, launched
from benchmarks.serving_case import Case
from benchmarks.wrk import Load
from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import ENCODER

OURS, SMALLEST, FASTAPI = "ours", "ours_smallest", "fastapi"
PEERS = (FASTAPI,)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, and how it is asked.

    Attributes:
        name: ours, ours_smallest or a peer's.
        server: that answers.
    """

    name: str
    server: Server

    def load(self, case: Case) -> Load:
        """What it is sent."""
        return case.smallest if self.name == SMALLEST else case.full

    def url(self, case: Case) -> str:
        """Where it is sent."""
        if self.name in PEERS:
            return f"{self.server.url}/{'predict' if case.is_json else 'predict-binary'}"
        query = case.smallest_query if self.name == SMALLEST else case.query
        return f"{self.server.url}/predict{query}"


@contextmanager
def our_service(models: Path, folder: Path, workers: int) -> Iterator[Server]:
    """Our service as it is run, over the bundles of a folder; its store is its own."""
    environment = {
        # What it writes beside its store must not meet another server's.
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RCMVAE_MODELS_DIR": str(models.resolve()),
        "RCMVAE_STORE_URL": f"sqlite:///{folder.resolve() / 'feedback.db'}",
        "RCMVAE_WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.app:RcmVae", "--port", "{port}"]
    with launched(command, folder, environment) as server:
        yield server


@contextmanager
def peer_service(name: str, models: Path, folder: Path) -> Iterator[Server]:
    """A peer in its own environment, over the encoder of the current bundle."""
    bundle = load_current(models)
    folder.mkdir(parents=True, exist_ok=True)
    encoder = folder / ENCODER
    encoder.write_bytes(bundle.read(ENCODER))
    environment = {
        "ENCODER": str(encoder.resolve()),
        "SHAPE": ",".join(str(size) for size in bundle.manifest.input.shape),
    }
    python = str(peer_python(name))
    with launched([python, "-m", *_COMMANDS[name]], folder, environment) as server:
        yield server


_MODULES = "benchmarks.peers_serving"
_COMMANDS = {
    FASTAPI: ["uvicorn", f"{_MODULES}.fastapi_service:app", "--no-access-log", "--port", "{port}"],
}
