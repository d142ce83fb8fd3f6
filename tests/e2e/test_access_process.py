"""Keys as an operator uses them: real servers, real addresses."""

from pathlib import Path

import httpx
import pytest

from service.access import Scope
from service.access.key_file import KeyFile, change_keys
from tests.e2e.served import PATIENCE, serving, start, wait_until
from tests.service.problems import assert_problem
from tests.service.small_bundle import publish_small
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
