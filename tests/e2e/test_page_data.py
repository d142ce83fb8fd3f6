"""What the page gets from a real server of two workers: picture, thumbnails, events."""

import io
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rcmvae.bundle import move_pointer, stage_bundle
from tests.e2e.served import Server, serving, wait_until
from tests.service.problems import assert_problem
from tests.service.small_bundle import CIRCLE, UNLABELLED, publish_small, small_draft

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    publish_small(folder / "models", "v1")
    with serving(folder, workers="2", capture_flush_seconds="0.05") as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        yield server


def events(lines: Iterator[str]) -> Iterator[tuple[str, str | None, Any]]:
    """Name, id and data of events, by the rules of the standard that this stream needs."""
    name, place, data = "message", None, ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            place = value
        elif field == "data":
            data = value
        elif line == "" and data:
            yield name, place, json.loads(data)
            name, data = "message", ""


def test_the_picture_has_what_any_worker_answered(server: Server) -> None:
    ids = set()
    for _ in range(6):
        answer = server.post("/predict", {"inputs": [UNLABELLED]}).json()
        ids.add(answer["predictions"][0]["prediction_id"])

    def shown() -> set[str]:
        with pa.ipc.open_stream(server.get("/latent-map?sources=capture").content) as stream:
            return set(stream.read_all()["point_id"].to_pylist())

    wait_until(lambda: ids <= shown(), "every capture in the picture")
    for name in (*ids, "r-11"):
        response = server.get(f"/thumbnails/{name}")
        assert response.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(response.content)) as image:
            expected = np.array(UNLABELLED).reshape(2, 3) * 255
            np.testing.assert_array_equal(np.asarray(image), expected)
    assert_problem(server.get("/thumbnails/nobody-0"), 404, "point_id")


def test_a_stream_tells_of_every_worker_and_goes_on_where_it_was_cut(server: Server) -> None:
    url = f"{server.url}/events"
    with httpx.Client(timeout=30) as client:
        with client.stream("GET", url) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            told = events(response.iter_lines())
            assert next(told)[0] == "bundle"
            wanted = {
                server.post("/predict", {"inputs": [CIRCLE]}).json()["predictions"][0][
                    "prediction_id"
                ]
                for _ in range(6)
            }
            last = None
            for name, place, data in told:
                if name == "prediction":
                    wanted.discard(data["prediction_id"])
                    last = place
                if not wanted:
                    break
        later = server.post("/predict", {"inputs": [CIRCLE]}).json()["predictions"][0]
        with client.stream("GET", url, headers={"Last-Event-ID": str(last)}) as response:
            told = events(response.iter_lines())
            first = next(data for name, _, data in told if name == "prediction")
    assert first["prediction_id"] == later["prediction_id"]


def test_a_stream_tells_of_a_swap(server: Server) -> None:
    with httpx.stream("GET", f"{server.url}/events", timeout=30) as response:
        told = events(response.iter_lines())
        assert next(told)[2]["bundle_version"] == "v1"
        stage_bundle(server.models, small_draft("v2", "v1"))
        move_pointer(server.models, "v1", "v2")
        swap = next(data for name, _, data in told if name == "bundle")
    assert (swap["bundle_version"], swap["parent_version"]) == ("v2", "v1")
    assert "Traceback" not in server.log


def test_an_open_stream_does_not_hold_up_the_end(server: Server) -> None:
    """The last test of this server: without an end of its own the stream would last 54 s."""
    with httpx.stream("GET", f"{server.url}/events", timeout=30) as response:
        lines = response.iter_lines()
        next(lines)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=50)
        assert time.monotonic() - start < 30
        del lines
