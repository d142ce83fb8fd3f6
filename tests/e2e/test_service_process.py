"""The service as an operator runs it: real processes, real signals, real damage."""

import http.client
import itertools
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from rcmvae.bundle import move_pointer, stage_bundle
from rcmvae.feedback import FeedbackStore
from tests.e2e.processes import kill, runs
from tests.e2e.served import Server, serving, start, wait_until
from tests.service.bad_requests import BAD_REQUESTS, JSON, MAX_BODY_BYTES, MAX_ROWS
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, publish_small, small_draft

pytestmark = pytest.mark.e2e

INPUTS = {"inputs": known_inputs(2, seed=4).tolist()}
DAMAGED = 'rcmvae_bundle_swap_failures_total{reason="damaged"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker with narrow limits and bundle v1, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("server")
    publish_small(folder / "models", "v1")
    limits = {"max_rows": str(MAX_ROWS), "max_body_bytes": str(MAX_BODY_BYTES)}
    with serving(folder, **limits, capture_flush_seconds="0.05") as server:
        yield server


def test_bad_input_table(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for bad in BAD_REQUESTS:
            response = client.request(
                bad.method, bad.path, content=bad.content, headers=dict(bad.headers)
            )
            assert_problem(response, bad.status, bad.field)
    assert server.get("/readyz").status_code == 200
    assert "Traceback" not in server.log


def test_large_bodies_are_refused_while_they_come(server: Server) -> None:
    large = 20 * 2**20

    def chunks() -> Iterator[bytes]:
        for _ in range(large // 2**16):
            yield b" " * 2**16

    declared = httpx.post(server.url + "/predict", content=b" " * large, headers=JSON, timeout=30)
    assert_problem(declared, 413, "body")
    chunked = httpx.post(server.url + "/predict", content=chunks(), headers=JSON, timeout=30)
    assert_problem(chunked, 413, "body")


def test_log_states_provider_and_bundle(server: Server) -> None:
    assert "execution providers: CPUExecutionProvider" in server.log
    assert "serving bundle v1" in server.log


def test_it_listens_on_loopback_only(server: Server) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    listening = "0A"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    bound = {row[1] for row in rows if row[3] == listening and row[1].endswith(f":{port:04X}")}
    assert bound == {f"0100007F:{port:04X}"}


def test_starts_without_a_bundle_and_takes_the_first(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert_problem(server.get("/readyz"), 503)
        assert_problem(server.post("/predict", INPUTS), 503)
        publish_small(server.models, "v1")
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        assert server.post("/predict", INPUTS).json()["bundle_version"] == "v1"


def test_required_cuda_ends_the_start(tmp_path: Path) -> None:
    server = start(tmp_path, require_cuda="1")
    try:
        assert server.process.wait(60) == 1
    finally:
        if server.process.poll() is None:
            server.kill()
    assert "expected CUDAExecutionProvider, got CPUExecutionProvider" in server.log
    assert "Traceback" not in server.log


class Load:
    """Posts predictions from several connections until it is told to stop."""

    def __init__(self, server: Server, connections: int = 4) -> None:
        self._server = server
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(connections)
        self._runs = [self._pool.submit(self._run) for _ in range(connections)]

    def stop(self) -> Counter[tuple[int, str]]:
        """How often which status came from which version."""
        self._stop.set()
        counts = sum((run.result() for run in self._runs), Counter[tuple[int, str]]())
        self._pool.shutdown()
        return counts

    def _run(self) -> Counter[tuple[int, str]]:
        counts: Counter[tuple[int, str]] = Counter()
        with httpx.Client(base_url=self._server.url, timeout=30) as client:
            while not self._stop.is_set():
                response = client.post("/predict", json=INPUTS)
                counts[response.status_code, response.json().get("bundle_version", "")] += 1
        return counts


def test_hot_swap_under_load(tmp_path: Path) -> None:
    versions = [f"v{i}" for i in range(1, 7)]
    publish_small(tmp_path / "models", "v1")
    with serving(tmp_path, workers="2") as server:
        workers = 'rcmvae_bundle_info{{bundle_version="{}"}}'.format
        wait_until(lambda: server.metric(workers("v1")) == 2, "both workers serve v1")
        load = Load(server)
        for parent, version in itertools.pairwise(versions):
            publish_small(server.models, version, parent, extra=int(version[1:]))
            wait_until(lambda v=version: server.metric(workers(v)) == 2, version)  # type: ignore[misc]
        counts = load.stop()
    assert {status for status, _ in counts} == {200}
    assert {version for _, version in counts} <= set(versions)
    assert len(counts) >= 2
    assert "Traceback" not in server.log


def test_corrupted_bundle_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "v1")
    with serving(tmp_path) as server:
        load = Load(server, connections=2)
        stage_bundle(server.models, small_draft("v2", "v1"))
        damaged = server.models / "v2" / "tau.onnx"
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(bytes(content))
        move_pointer(server.models, "v1", "v2")
        wait_until(lambda: server.metric(DAMAGED) == 1, "refused")
        time.sleep(0.5)
        assert set(load.stop()) == {(200, "v1")}
        assert server.metric(DAMAGED) == 1
        (line,) = [line for line in server.log.splitlines() if "refused" in line]
        assert "tau.onnx" in line
        assert "sha256" in line
        assert "v1 goes on serving" in line
        publish_small(server.models, "v3", "v2", extra=1)
        wait_until(lambda: server.get("/bundle").json()["bundle_version"] == "v3", "v3")


def _said_at_once(server: Server, row: list[float]) -> tuple[str, str]:
    """Post one body under one key from fifty connections: fifty equal replies, and one id."""
    items = [{"input": row, "label": "at once"}]

    def post(_: int) -> tuple[int, str]:
        key = {"Idempotency-Key": "one"}
        url = server.url + "/feedback"
        response = httpx.post(url, json={"items": items}, headers=key, timeout=60)
        return response.status_code, response.text

    with ThreadPoolExecutor(50) as pool:
        ((status, reply),) = set(pool.map(post, range(50)))
    assert status == 202
    return json.loads(reply)["items"][0]["feedback_id"], "at once"


def test_sigkill_loses_no_acknowledged_label(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "v1")
    row = known_inputs(1, seed=1)[0].tolist()
    acknowledged: list[tuple[str, str]] = []

    def post(server: Server, poster: int) -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            for i in itertools.count():
                label = f"label {poster} {i}"
                try:
                    response = client.post(
                        "/feedback", json={"items": [{"input": row, "label": label}]}
                    )
                except httpx.TransportError:
                    return
                assert response.status_code == 202
                acknowledged.append((response.json()["items"][0]["feedback_id"], label))

    with serving(tmp_path, workers="2") as server, ThreadPoolExecutor(4) as pool:
        acknowledged.append(_said_at_once(server, row))
        posters = [pool.submit(post, server, i) for i in range(4)]
        try:
            wait_until(lambda: len(acknowledged) >= 100, "a hundred labels", 30)
        finally:
            server.kill()
        for poster in posters:
            poster.result()
    with FeedbackStore.open(server.store_url) as store:
        kept = {feedback_id: store.get(feedback_id).label for feedback_id, _ in acknowledged}
        # One for the fifty, and one that each poster may not have heard of.
        assert store.counts_by_status().queued <= len(acknowledged) + 4
    assert kept == dict(acknowledged)


def test_sigterm_finishes_what_is_in_flight(tmp_path: Path) -> None:
    """A request is half sent when SIGTERM comes; its other half is still read and answered."""
    publish_small(tmp_path / "models", "v1")
    body = json.dumps(INPUTS).encode()
    with serving(tmp_path) as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:20])
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.7)
        assert server.process.poll() is None
        connection.send(body[20:])
        response = connection.getresponse()
        assert response.status == 200
        answered = json.loads(response.read())["predictions"]
        connection.close()
        assert server.process.wait(30) == 0
    with FeedbackStore.open(server.store_url) as store:
        for prediction in answered:
            assert store.captured(prediction["prediction_id"]).bundle_version == "v1"


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    """Whoever kills the parent alone gets the port back."""
    with serving(tmp_path, workers="2") as server:
        workers = server.workers()
        assert len(workers) == 2
        server.process.kill()
        server.process.wait()
        try:
            wait_until(lambda: not any(runs(w) for w in workers), "workers ended", 15)
        finally:
            for worker in workers:
                kill(worker)


def test_metrics_add_up_over_workers(tmp_path: Path) -> None:
    """Also after a worker has died, and with a second server on the same BENTOML_HOME."""
    publish_small(tmp_path / "models", "v1")
    total = 'rcmvae_requests_total{route="/predict",status="200"}'
    serves = 'rcmvae_bundle_info{bundle_version="v1"}'
    with serving(tmp_path, workers="2") as server:
        wait_until(lambda: server.metric(serves) == 2, "both workers")
        for _ in range(60):
            assert server.post("/predict", INPUTS).status_code == 200
        assert {server.metric(total) for _ in range(8)} == {60}
        with serving(tmp_path) as other:
            assert other.metric(total) == 0
            assert server.metric(total) == 60
        kill(server.workers()[0])
        wait_until(lambda: server.metric(serves) == 1, "the dead worker is not counted")
        assert server.metric(total) == 60
        wait_until(lambda: server.metric(serves) == 2, "a new worker")
        assert server.post("/predict", INPUTS).status_code == 200
        assert server.metric(total) == 61


def test_a_worker_comes_back_where_the_folder_of_the_metrics_was_removed(tmp_path: Path) -> None:
    """As a cleaner of /tmp may do. What the dead worker counted is lost, the service is not."""
    publish_small(tmp_path / "models", "v1")
    folder = tmp_path / "metrics"
    with serving(tmp_path, metrics_dir=str(folder)) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        shutil.rmtree(folder)
        assert server.get("/metrics").status_code == 200
        (before,) = server.workers()
        kill(before)
        wait_until(lambda: _lives(server), "a worker answers")
        assert server.workers() != [before]
        assert server.metric('rcmvae_bundle_info{bundle_version="v1"}') == 1


def _lives(server: Server) -> bool:
    try:
        return server.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _watched(server: Server) -> tuple[int, int]:
    """Workers that know about drift, and the inputs that they have seen together."""
    answer = server.get("/drift").json()
    return answer["workers"], answer["questions"][0]["inputs"]


def test_drift_is_watched_by_all_workers(tmp_path: Path) -> None:
    """The evidence is one for all workers, and what a worker has seen stays when it dies."""
    publish_small(tmp_path / "models", "v1")
    with serving(tmp_path, workers="2") as server:
        sent = 0
        while _watched(server)[0] < 2:
            assert server.post("/predict", INPUTS).status_code == 200
            sent += len(INPUTS["inputs"])
        wait_until(lambda: _watched(server) == (2, sent), "both have said what they saw")
        kill(server.workers()[0])
        wait_until(lambda: _watched(server)[0] == 1, "the dead worker is not counted")
        assert _watched(server)[1] == sent


def test_a_prediction_of_any_worker_can_be_corrected(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "v1")
    with serving(tmp_path, workers="2") as server:
        for i in range(20):
            prediction = server.post("/predict", INPUTS).json()["predictions"][0]
            item = {"prediction_id": prediction["prediction_id"], "label": f"new {i}"}
            response = server.post("/feedback", {"items": [item]})
            assert response.status_code == 202, response.text
