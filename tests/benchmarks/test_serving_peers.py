"""What the peers are sent and how they are read; and one of them, which this environment has."""

import json
import re
import sys
from contextlib import ExitStack
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks import contestant
from benchmarks.contestant import (
    FULL_OUTPUTS,
    Lineup,
    add_peers,
    contestants_of,
    peer_service,
    require_right,
    write_graphs,
)
from benchmarks.peers_serving import bentoml_service, environment
from benchmarks.peers_serving.environment import peer_python
from benchmarks.peers_serving.model import ENCODER, FULL, KINDS
from benchmarks.peers_serving.peer import BENTOML, FASTAPI, HEADER_LENGTH, LITSERVE, PEERS, PYTRITON
from benchmarks.server import Unmeasurable
from benchmarks.serving_case import BATCH, Case, cases_of
from tests.house.lockfile import read_lock
from tests.house.repository import ROOT
from tests.service.small_bundle import SHAPE, publish_small

LOCKS = ROOT / "benchmarks" / "peers_serving"


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    x = np.random.default_rng(0).uniform(0, 1, (BATCH, *SHAPE)).astype(np.float32)
    return cases_of(x, 0.0, 1.0)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish_small(tmp_path / "models", "v1")
    return tmp_path / "models"


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_locked_with_hashes(name: str) -> None:
    pins = {pin.name: pin for pin in read_lock(LOCKS / f"{name}.lock")}
    wanted = (LOCKS / f"{name}.in").read_text().splitlines()
    names = {re.split(r"[\[<>=]", line)[0] for line in wanted if not line.startswith("#")}
    assert names <= set(pins)
    assert all(pin.hashes for pin in pins.values())


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_holds_the_inputs_of_the_case(
    name: str, kind: str, cases: tuple[Case, ...]
) -> None:
    for case in cases:
        request = PEERS[name].request(kind, case)
        if request is None:
            assert not case.is_json
            continue
        assert kind in request.path
        body = request.load.body
        if case.is_json:
            document = json.loads(body)
            rows = document.get("x") or document["inputs"]
            found = np.array(rows[0]["data"] if isinstance(rows[0], dict) else rows)
        else:
            found = (
                np.frombuffer(_octets(name, request.load.media_type, body, case), np.uint8) / 255
            )
        np.testing.assert_allclose(found.ravel(), case.inputs.ravel(), atol=1e-6)


def _octets(name: str, media_type: str, body: bytes, case: Case) -> bytes:
    if name == LITSERVE.name:
        form = message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
        _, part = form.walk()
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        return octets
    if name == PYTRITON.name:
        request = PYTRITON.request(ENCODER, case)
        assert request is not None
        length = int(dict(request.load.headers)[HEADER_LENGTH])
        (tensor,) = json.loads(body[:length])["inputs"]
        assert tensor["parameters"]["binary_data_size"] == len(body) - length
        return body[length:]
    return body


def test_outputs_of_the_inference_protocol_are_read_as_json_and_as_bytes() -> None:
    logits = np.arange(6, dtype=np.float32).reshape(2, 3)
    channels = np.array([[2], [2]])
    outputs = [
        {"name": "channels", "shape": [2, 1], "data": [2, 2]},
        {"name": "logits", "shape": [2, 3], "data": logits.ravel().tolist()},
    ]
    body = json.dumps({"outputs": outputs}).encode()
    np.testing.assert_array_equal(PYTRITON.read(body, "logits"), logits)
    binary = [
        {key: tensor[key] for key in ("name", "shape")}
        | {"parameters": {"binary_data_size": value.nbytes}}
        for tensor, value in zip(outputs, (channels, logits), strict=True)
    ]
    body = json.dumps({"outputs": binary}).encode() + channels.tobytes() + logits.tobytes()
    np.testing.assert_array_equal(PYTRITON.read(body, "logits"), logits)
    with pytest.raises(KeyError, match="scores"):
        PYTRITON.read(body, "scores")


def test_peers_get_the_encoder_without_its_moments_and_all_that_is_answered(models: Path) -> None:
    graphs = write_graphs(models, models.parent / "graphs")
    names = {
        kind: tuple(out.name for out in ort.InferenceSession(graphs / f"{kind}.onnx").get_outputs())
        for kind in KINDS
    }
    assert names == {ENCODER: ("logits",), FULL: FULL_OUTPUTS}
    assert tuple(bentoml_service.Full.model_fields) == FULL_OUTPUTS


@pytest.mark.e2e
def test_a_peer_answers_as_the_graphs_do_or_is_not_measured(
    models: Path, cases: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """BentoML, which is in this environment too."""
    monkeypatch.setattr(contestant, "peer_python", lambda _: sys.executable)
    graphs = write_graphs(models, models.parent / "graphs")
    with peer_service(BENTOML, graphs, models.parent / "bentoml") as server:
        there = contestants_of(BENTOML, server, KINDS)
        for kind, one in there.items():
            require_right(BENTOML, one, graphs, kind, cases)
        wrong = [replace(case, inputs=1 - case.inputs) for case in cases]
        with pytest.raises(Unmeasurable, match="bentoml_full: one_json: not the probabilities"):
            require_right(BENTOML, there[FULL], graphs, FULL, wrong)


def test_who_does_not_install_or_start_is_named_with_the_reason(
    models: Path, cases: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def python_of(name: str) -> str:
        if name == "litserve":
            raise Unmeasurable("litserve: no wheel")
        return sys.executable

    monkeypatch.setattr(contestant, "peer_python", python_of)
    dead = replace(BENTOML, name="dead", module=("benchmarks.no_such_module",))
    monkeypatch.setitem(PEERS, "dead", dead)
    lineup, folder = Lineup([], {}, {}), models.parent
    with ExitStack() as stack:
        add_peers(lineup, stack, ("litserve", "dead"), KINDS, folder, folder, cases)
    assert not lineup.there
    assert lineup.missing["litserve"] == "litserve: no wheel"
    assert "No module named benchmarks.no_such_module" in lineup.missing["dead"]
    monkeypatch.setitem(PEERS, "fastapi", replace(FASTAPI, name="litserve"))
    monkeypatch.setattr(contestant, "FASTAPI", PEERS["fastapi"])
    with ExitStack() as stack, pytest.raises(Unmeasurable, match="no wheel"):
        add_peers(lineup, stack, ("fastapi",), KINDS, folder, folder, cases)


def test_an_environment_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.lock").write_text("no-such-package==1 --hash=sha256:00\n")
    monkeypatch.setattr(environment, "_HERE", tmp_path)
    monkeypatch.setattr(environment, "_KEPT", tmp_path / "kept")
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no wheel for this machine >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    reason = "none: its packages could not be installed: no wheel for this machine"
    with pytest.raises(Unmeasurable, match=reason):
        peer_python("none")
