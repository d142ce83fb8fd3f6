"""The short way to the busiest route gives the replies of the long one."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import BAD_REQUESTS, JSON, ROW, BadRequest
from tests.service.conftest import small_settings
from tests.service.small_bundle import publish_small

OWN = {"request_id", "prediction_id"}
OTHERS = [
    BadRequest("get", 405, "method", b"", method="GET"),
    BadRequest("slash", 404, "path", b"", path="/predict/"),
    BadRequest("compressed", 415, "Content-Encoding", b"", headers={"content-encoding": "gzip"}),
    BadRequest("elsewhere", 421, "Host", b"{}", headers=JSON | {"host": "example.org"}),
]


@pytest.fixture(scope="module")
def long_way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    settings = small_settings(tmp_path_factory.mktemp("long"))
    publish_small(settings.models_dir, "v1")

    def none_direct(app: ASGIApp, routes: object) -> ASGIApp:
        return app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.asgi.DirectRoutes", none_direct)
        with running_app(settings) as client:
            yield client


@pytest.mark.parametrize("bad", [*BAD_REQUESTS, *OTHERS], ids=lambda bad: bad.name)
def test_refusals(shared_client: AppClient, long_way: AppClient, bad: BadRequest) -> None:
    replies = [
        client.request(bad.method, bad.path, content=bad.content, headers=dict(bad.headers))
        for client in (shared_client, long_way)
    ]
    assert _without_ids(replies[0]) == _without_ids(replies[1])
    assert replies[0].status_code == bad.status


def test_answers(shared_client: AppClient, long_way: AppClient) -> None:
    replies = [c.post("/predict", json={"inputs": [ROW]}) for c in (shared_client, long_way)]
    assert _without_ids(replies[0]) == _without_ids(replies[1])
    assert replies[0].status_code == 200


def test_a_fault_inside_is_told_alike(
    shared_client: AppClient, long_way: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr("service.routes.predict.parse_predict", broken)
    replies = [c.post("/predict", json={"inputs": [ROW]}) for c in (shared_client, long_way)]
    assert _without_ids(replies[0]) == _without_ids(replies[1])
    assert replies[0].status_code == 500
    assert "secret" not in replies[0].text


def test_a_path_of_the_short_way_is_counted_by_its_route(tmp_path: Path) -> None:
    settings = small_settings(tmp_path)
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        client.post("/predict", json={"inputs": [ROW]})
        told = client.get("/metrics").text
    assert 'rcmvae_requests_total{route="/predict",status="200"} 1.0' in told


def _without_ids(reply: httpx.Response) -> tuple[int, dict[str, str], object]:
    headers = {k: v for k, v in reply.headers.items() if k != "x-request-id"}
    return reply.status_code, headers, _cleaned(reply.json())


def _cleaned(value: object) -> object:
    if isinstance(value, dict):
        return {name: _cleaned(part) for name, part in value.items() if name not in OWN}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value
