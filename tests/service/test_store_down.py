"""The feedback store goes away and comes back: 503 meanwhile, and nothing acknowledged is lost."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.postgresql import PostgresServer
from rcmvae.feedback import FeedbackStore
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.problems import assert_problem
from tests.service.small_bundle import publish_small

RECOVERS_SECONDS = 5.0

Outage = Callable[[], AbstractContextManager[None]]


@contextmanager
def no_folder(folder: Path) -> Iterator[None]:
    """As a mount that is lost."""
    away = folder.with_name("away")
    folder.rename(away)
    yield
    away.rename(folder)


@contextmanager
def no_room(folder: Path) -> Iterator[None]:
    """As a disk that is full: no file of the store can grow."""
    largest = max(file.stat().st_size for file in folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_server(server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.fixture(params=["folder", "disk", "server"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Outage]:
    """URL of a store and what happens to it."""
    if request.param == "server":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database(), lambda: no_server(server)
    folder = tmp_path / "var"
    outage = no_folder if request.param == "folder" else no_room
    return f"sqlite:///{folder / 'feedback.db'}", lambda: outage(folder)


def post(client: AppClient, number: int) -> httpx.Response:
    """Post a correction that fills several pages of the file."""
    items = [{"input": [number / 1000] * 6, "label": "l" * 60}]
    key = {"Idempotency-Key": f"k{number}"}
    return client.post("/feedback", json={"items": items}, headers=key)


def test_the_store_is_away_for_a_while(settings: Settings, case: tuple[str, Outage]) -> None:
    url, outage = case
    publish_small(settings.models_dir, "v1")
    kept: list[str] = []

    def keep(response: httpx.Response) -> None:
        assert response.status_code == 202, response.text
        kept.extend(item["feedback_id"] for item in response.json()["items"])

    with running_app(settings.model_copy(update={"store_url": url})) as client:
        for number in range(3):
            keep(post(client, number))
        with outage():
            # With room left in its last pages a full disk takes a few more.
            number = 3
            while (response := post(client, number)).status_code == 202 and number < 500:
                keep(response)
                number += 1
            for _ in range(2):
                assert_problem(response, 503)
                assert response.json()["type"].endswith("store-unavailable")
                assert int(response.headers["retry-after"]) >= 1
                response = post(client, number)
            answer = client.post("/predict", json={"inputs": [[0.5] * 6]})
            assert answer.status_code == 200, "predictions go on"
        start = time.monotonic()
        while (response := post(client, number)).status_code == 503:
            assert time.monotonic() - start < RECOVERS_SECONDS
            time.sleep(0.05)
        keep(response)
    with FeedbackStore.open(url) as store:
        assert all(store.get(name).feedback_id == name for name in kept)
        # The inputs differ, so nothing is superseded; each was stored once.
        assert store.counts_by_status().queued == len(set(kept)) == number + 1
