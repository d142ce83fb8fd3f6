"""Whatever comes in, the answer is a problem that names the field; never a 500."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from starlette.requests import Request

from service.body import read_body
from service.problem import RequestRefused
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import BAD_REQUESTS, JSON, MAX_BODY_BYTES, BadRequest
from tests.service.problems import assert_problem
from tests.service.small_bundle import publish_small


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: bad.name)
def test_bad_request_is_refused_and_named(shared_client: AppClient, bad: BadRequest) -> None:
    response = shared_client.request(
        bad.method, bad.path, content=bad.content, headers=dict(bad.headers)
    )
    assert_problem(response, bad.status, bad.field)


def test_chunked_body_is_counted(shared_client: AppClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MAX_BODY_BYTES // 2)

    response = shared_client.post("/predict", content=chunks(), headers=JSON)
    assert "content-length" not in response.request.headers
    assert_problem(response, 413, "body")


def test_body_of_exactly_the_limit_is_read(shared_client: AppClient) -> None:
    content = b'{"inputs": [[0,0,0,0,0,0]]}'.ljust(MAX_BODY_BYTES)
    assert shared_client.post("/predict", content=content, headers=JSON).status_code == 200


def test_wrong_method_states_the_right_one(shared_client: AppClient) -> None:
    response = shared_client.get("/predict")
    assert response.headers["allow"] == "POST"
    assert shared_client.request("PUT", "/feedback").headers["allow"] == "GET, HEAD, POST"


def test_long_values_are_not_echoed(shared_client: AppClient) -> None:
    document = {"items": [{"label": "x" * 3000, "input": [0] * 6}]}
    response = shared_client.post("/feedback", json=document)
    assert_problem(response, 422, "items[0].label")
    assert len(response.content) < 700


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_json = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner)
)
_document = st.fixed_dictionaries(
    {"inputs": _json}, optional={"alpha": _json, "include": _json, "items": _json}
)


@examples(max_examples=150, deadline=None)
@given(_document | st.fixed_dictionaries({"items": _json | st.lists(_json)}), st.booleans())
def test_no_document_is_a_500(shared_client: AppClient, document: object, to_predict: bool) -> None:
    path = "/predict" if to_predict else "/feedback"
    response = shared_client.post(path, content=json.dumps(document).encode(), headers=JSON)
    assert response.status_code in {200, 202} or 400 <= response.status_code < 500
    if response.status_code >= 400:
        assert_problem(response, response.status_code)


@examples(max_examples=100, deadline=None)
@given(st.binary(max_size=64), st.sampled_from(["uint8", "float32", "", "object"]))
def test_no_octets_are_a_500(shared_client: AppClient, body: bytes, dtype: str) -> None:
    headers = {"content-type": "application/octet-stream"}
    response = shared_client.post(f"/predict?dtype={dtype}", content=body, headers=headers)
    assert response.status_code in {200, 422}


def test_a_bug_is_answered_without_its_trace(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("the inside of the service")

    monkeypatch.setattr(client.runtime.bundles.__class__, "current", lambda _: broken())
    response = client.post("/predict", json={"inputs": [[0] * 6]})
    assert_problem(response, 500)
    assert "inside" not in response.text


def test_a_slow_body_is_given_up(client: AppClient) -> None:
    async def never() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(RequestRefused) as refused:
        client.call(read_body(request, limit=10, timeout_seconds=0.01))
    assert refused.value.problem.status == 408


def test_a_request_past_its_deadline_is_a_problem(settings: Settings) -> None:
    """The body never comes, and may take longer to come than the request may take."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"timeout_seconds": 0.05})) as client:
        response = client.post("/predict", content=stalled(), headers=JSON)
        assert_problem(response, 504, "request")
        assert client.get("/livez").status_code == 200
