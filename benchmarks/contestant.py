"""The services that are measured side by side: ours, and the peers over the same graphs."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import onnxruntime as ort
from onnx import load_from_string
from onnx.utils import Extractor

from benchmarks.peers_serving.environment import peer_python
from benchmarks.peers_serving.model import ENCODER as ENCODER_ALONE
from benchmarks.peers_serving.model import FULL, KINDS
from benchmarks.peers_serving.peer import FASTAPI, PEERS, Peer
from benchmarks.server import Server, Unmeasurable, launched
from benchmarks.serving_case import Case, Request
from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.graph import SERVED_OUTPUTS, Graphs, served_graph

OURS, SMALLEST = "ours", "ours_smallest"
FULL_OUTPUTS = tuple(name for name in SERVED_OUTPUTS if name != "responsibilities")
"""What a full answer of ours is made of, unless it is asked for more."""
_CHECKED = {ENCODER_ALONE: "logits", FULL: "probabilities"}
_TOLERANCE = 1e-3
"""Of what a peer answers: inputs have four decimals in JSON and 256 steps as bytes."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, and how it is asked.

    Attributes:
        name: as figures have it.
        server: that answers.
        request: to it, for a case; None where it has no such form.
    """

    name: str
    server: Server
    request: Callable[[Case], Request | None]


@dataclass(frozen=True, slots=True)
class Lineup:
    """Who takes part.

    Attributes:
        contestants: everybody who has started and answers right.
        servers: theirs, by name; a peer with both graphs is one.
        missing: why somebody is not there, or no longer, by name.
    """

    contestants: list[Contestant]
    servers: dict[str, Server]
    missing: dict[str, str]

    @property
    def there(self) -> list[Contestant]:
        """Those who have not failed so far."""
        return [one for one in self.contestants if one.name not in self.missing]


@contextmanager
def lined_up(
    models: Path, folder: Path, peers: Sequence[str], cases: Sequence[Case], *, brief: bool
) -> Iterator[Lineup]:
    """All services, running.

    Each peer is there twice: with the encoder alone, under its name, and with the whole graph,
    under ``NAME_full``. What a peer answers has been compared with ONNX Runtime in this process.

    Args:
        models: folder of the bundles.
        folder: for what the servers write.
        peers: by name; FastAPI must be measurable.
        cases: that they will be asked.
        brief: without whole graphs behind peers, and without our smallest answer.

    Raises:
        Unmeasurable: ours or FastAPI is not.
    """
    lineup = Lineup([], {}, {})
    with ExitStack() as stack:
        graphs = write_graphs(models, folder / "graphs")
        kinds = (ENCODER_ALONE,) if brief else KINDS
        add_peers(lineup, stack, peers, kinds, graphs, folder, cases)
        server = stack.enter_context(our_service(models, folder / OURS, workers=1))
        lineup.servers[OURS] = server
        lineup.contestants.append(Contestant(OURS, server, our_request))
        if not brief:
            lineup.contestants.append(Contestant(SMALLEST, server, _smallest))
        yield lineup


def add_peers(
    lineup: Lineup,
    stack: ExitStack,
    peers: Sequence[str],
    kinds: Sequence[str],
    graphs: Path,
    folder: Path,
    cases: Sequence[Case],
) -> None:
    """Start peers, compare their answers, and add those that are right; arguments as above.

    Raises:
        Unmeasurable: FastAPI is not.
    """
    for peer in (PEERS[name] for name in peers):
        try:
            server = stack.enter_context(peer_service(peer, graphs, folder / peer.name))
            found = contestants_of(peer, server, kinds)
            for kind, contestant in found.items():
                require_right(peer, contestant, graphs, kind, cases)
        except Unmeasurable as error:
            if peer is FASTAPI:
                raise
            lineup.missing[peer.name] = str(error)
        else:
            lineup.contestants.extend(found.values())
            lineup.servers[peer.name] = server


def contestants_of(peer: Peer, server: Server, kinds: Sequence[str]) -> dict[str, Contestant]:
    """A peer with some of the graphs, by kind."""
    names = {ENCODER_ALONE: peer.name, FULL: f"{peer.name}_full"}
    return {kind: Contestant(names[kind], server, partial(peer.request, kind)) for kind in kinds}


def our_request(case: Case) -> Request:
    """For the full answer of our service."""
    return Request(f"/predict{case.query}", case.full)


def _smallest(case: Case) -> Request:
    return Request(f"/predict{case.smallest_query}", case.smallest)


@contextmanager
def our_service(
    models: Path, folder: Path, workers: int, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Our service as it is run, over the bundles of a folder; its store is its own."""
    environment = {
        # What it writes beside its store must not meet another server's.
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RCMVAE_MODELS_DIR": str(models.resolve()),
        "RCMVAE_STORE_URL": f"sqlite:///{folder.resolve() / 'feedback.db'}",
        "RCMVAE_WORKERS": str(workers),
        **(settings or {}),
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.app:RcmVae", "--port", "{port}"]
    with launched(command, folder, environment) as server:
        yield server


@contextmanager
def peer_service(peer: Peer, graphs: Path, folder: Path) -> Iterator[Server]:
    """A peer in its own environment, over the graphs of a folder.

    Raises:
        Unmeasurable: it cannot be installed or does not start.
    """
    environment = {
        **peer.environment,
        "GRAPHS": str(graphs.resolve()),
        "BENTOML_HOME": str(folder.resolve() / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [str(peer_python(peer.name)), "-m", *peer.module]
    with launched(command, folder, environment, peer.ready) as server:
        yield server


def write_graphs(models: Path, folder: Path) -> Path:
    """Write what peers serve from the current bundle: ``encoder.onnx`` and ``full.onnx``.

    The encoder is cut down to its logits, or ONNX Runtime would compute moments and features too.
    """
    bundle = load_current(models)
    folder.mkdir(parents=True, exist_ok=True)
    encoder = Extractor(load_from_string(bundle.read(ENCODER)))
    (folder / f"{ENCODER_ALONE}.onnx").write_bytes(
        encoder.extract_model(["x"], ["logits"]).SerializeToString()
    )
    graphs = Graphs(*(bundle.read(name) for name in (ENCODER, TAU, DECODER, SCORES)))
    (folder / f"{FULL}.onnx").write_bytes(served_graph(graphs, FULL_OUTPUTS))
    return folder


def require_right(
    peer: Peer, contestant: Contestant, graphs: Path, kind: str, cases: Sequence[Case]
) -> None:
    """Ask a peer once for every case, and compare.

    Raises:
        Unmeasurable: it answers something else than ONNX Runtime does here.
    """
    session = ort.InferenceSession(graphs / f"{kind}.onnx", providers=["CPUExecutionProvider"])
    output = _CHECKED[kind]
    for case in cases:
        request = contestant.request(case)
        if request is None:
            continue
        (expected,) = session.run([output], {"x": case.inputs})
        got = peer.read(_post(contestant, request), output)
        if got.shape != expected.shape or not np.allclose(
            got, expected, rtol=_TOLERANCE, atol=_TOLERANCE
        ):
            raise Unmeasurable(f"{contestant.name}: {case.name}: not the {output} of the graph")


def _post(contestant: Contestant, request: Request) -> bytes:
    load = request.load
    try:
        reply = httpx.post(
            contestant.server.url + request.path,
            content=load.body,
            headers={"Content-Type": load.media_type, **dict(load.headers)},
            timeout=60,
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise Unmeasurable(f"{contestant.name}: {load.name}: {error}") from error
    return reply.content
