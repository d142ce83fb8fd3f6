"""Keys as an operator uses them: real servers, real addresses."""

from pathlib import Path

import httpx
import pytest

from service.access import Scope
from service.access.key_file import KeyFile, change_keys
from tests.e2e.processes import kill
from tests.e2e.served import PATIENCE, serving, start, wait_until
from tests.service.problems import assert_problem
from tests.service.small_bundle import known_inputs, publish_small
from tests.service.test_keys import added

pytestmark = pytest.mark.e2e

_NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)


def test_a_public_bind_without_keys_does_not_start(tmp_path: Path) -> None:
    server = start(tmp_path, host="0.0.0.0")
    try:
        assert server.process.wait(PATIENCE) == 1
    finally:
        if server.process.poll() is None:
            server.kill()
    assert "others can reach 0.0.0.0: set RCMVAE_KEYS_FILE" in server.log
    assert "Traceback" not in server.log


def test_keys_come_and_go_in_every_worker(tmp_path: Path) -> None:
    publish_small(tmp_path / "models", "v1")
    path = tmp_path / "keys.json"
    ada = added(path, "ada", Scope.PREDICT)
    with (
        serving(tmp_path, workers="2", keys_file=str(path)) as server,
        # A new connection for every request, so that both workers answer.
        httpx.Client(base_url=server.url, limits=_NO_KEEPALIVE) as client,
    ):

        def statuses(key: str) -> set[int]:
            headers = {"Authorization": f"Bearer {key}"}
            replies = [client.get("/bundle", headers=headers) for _ in range(12)]
            return {reply.status_code for reply in replies}

        assert_problem(server.get("/bundle"), 401, "Authorization")
        assert statuses(ada) == {200}
        bob = added(path, "bob")
        wait_until(lambda: statuses(bob) == {200}, "the new key works")
        change_keys(path, lambda file: KeyFile(keys=file.keys[1:]))
        wait_until(lambda: statuses(ada) == {401}, "the removed key does not")
        for key in (ada, bob):
            assert key not in server.log


def test_what_the_store_holds_is_the_same_from_every_worker(tmp_path: Path) -> None:
    """Also after one has died; and so is what was refused and who asked."""
    publish_small(tmp_path / "models", "v1")
    path = tmp_path / "keys.json"
    ada, metrics = added(path, "ada", Scope.FEEDBACK), added(path, "prometheus")
    names = (
        "rcmvae_store_up",
        'rcmvae_feedback_stored{status="queued"}',
        'rcmvae_rejected_requests_total{reason="key-missing"}',
        'rcmvae_rejected_requests_total{reason="scope-missing"}',
        'rcmvae_owner_requests_total{owner="ada"}',
    )
    with (
        serving(tmp_path, workers="2", keys_file=str(path)) as server,
        httpx.Client(base_url=server.url, limits=_NO_KEEPALIVE, timeout=PATIENCE) as client,
    ):

        def scrape() -> tuple[float, ...]:
            headers = {"Authorization": f"Bearer {metrics}"}
            lines = client.get("/metrics", headers=headers).text.splitlines()
            values = {
                line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in lines[1:]
                if not line.startswith("#")
            }
            return tuple(values.get(name, 0.0) for name in names)

        wait_until(lambda: client.get("/readyz").status_code == 200, "ready")
        rows = known_inputs(6, seed=1).tolist()
        bodies = [{"items": [{"input": row, "label": "circle"}]} for row in rows]
        by_ada = {"Authorization": f"Bearer {ada}"}
        for body in bodies:
            assert client.post("/feedback", json=body, headers=by_ada).status_code == 202
            assert client.post("/predict", headers=by_ada).status_code == 403
            assert client.post("/feedback", json=body).status_code == 401
        expected = (1.0, 6.0, 6.0, 6.0, 12.0)
        wait_until(lambda: scrape() == expected, "all of it")
        assert {scrape() for _ in range(8)} == {expected}
        kill(server.workers()[0])
        wait_until(lambda: len(server.workers()) == 2, "a new worker")
        wait_until(lambda: client.get("/readyz").status_code == 200, "ready")
        assert {scrape() for _ in range(8)} == {expected}
