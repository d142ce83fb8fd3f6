"""Listing, history and withdrawal over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from rcmvae.errors import IdempotencyInFlight
from rcmvae.feedback import FeedbackStore, NewFeedback
from service.asgi import create_app
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.problems import assert_problem
from tests.service.small_bundle import publish_small


def row(number: int) -> list[float]:
    return [number / 100] * 6


def post(client: AppClient, *labels: str, start: int = 0, **more: Any) -> list[str]:
    items = [{"input": row(start + n), "label": label} for n, label in enumerate(labels)]
    response = client.post("/feedback", json={"items": items, **more})
    assert response.status_code == 202, response.text
    return [item["feedback_id"] for item in response.json()["items"]]


def listed(client: AppClient, **query: Any) -> tuple[list[str], str | None]:
    answer = client.get("/feedback", params=query).json()
    return [item["feedback_id"] for item in answer["items"]], answer["next"]


def test_the_listing_goes_on_where_it_stopped(client: AppClient) -> None:
    ids = post(client, "a", "b", "a", source="night shift")
    ids += post(client, "b", "a", start=10)
    first, cursor = listed(client, limit=2)
    new = post(client, "a", start=50)
    second, cursor_2 = listed(client, limit=2, cursor=cursor)
    third, end = listed(client, limit=2, cursor=cursor_2)
    assert first + second + third == ids[::-1]
    assert end is None
    assert listed(client, label="a") == ([*new, ids[4], ids[2], ids[0]], None)
    assert listed(client, author="somebody") == ([], None)
    assert listed(client, status="applied") == ([], None)
    assert client.get(f"/feedback/{ids[0]}").json()["source"] == "night shift"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "ZjE6MA"}, "cursor"),  # f1:0
        ({"cursor": "é"}, "cursor"),
        ({"status": "eaten"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"label": " a"}, "label"),
        ({"author": "a\x00"}, "author"),
        ({"colour": "red"}, "query"),
    ],
)
def test_a_query_that_does_not_fit(client: AppClient, query: dict[str, str], field: str) -> None:
    assert_problem(client.get("/feedback", params=query), 422, field)


@pytest.mark.parametrize("source", ["", "s" * 65, "a\nb", 7, ["x"]])
def test_a_source_that_does_not_fit(client: AppClient, source: object) -> None:
    body = {"items": [{"input": row(1), "label": "a"}], "source": source}
    assert_problem(client.post("/feedback", json=body), 422, "source")


def test_a_label_is_taken_back(client: AppClient) -> None:
    (feedback_id,) = post(client, "dots")
    for _ in range(2):
        answer = client.request("DELETE", f"/feedback/{feedback_id}", params={"reason": "a slip"})
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["reason"]) == ("withdrawn", "a slip")
    lines = client.get(f"/feedback/{feedback_id}/events").json()["events"]
    told = [(line["actor"], line["status"], line["detail"]) for line in lines]
    assert told == [("anonymous", "queued", "dots"), ("anonymous", "withdrawn", "a slip")]
    bad = client.request("DELETE", f"/feedback/{feedback_id}", params={"reason": ""})
    assert_problem(bad, 422, "reason")


def test_what_was_accepted_is_remembered(client: AppClient, settings: Settings) -> None:
    (feedback_id,) = post(client, "dots")
    with FeedbackStore.open(settings.store_url) as store:
        claim = store.claim(worker="w", limit=1, lease=timedelta(minutes=1))
        assert claim is not None
        store.quarantine(claim.token, [feedback_id], "contradicted")
        assert store.accepted() == frozenset()
        assert listed(client, status="quarantined") == ([feedback_id], None)
        for _ in range(2):
            answer = client.post(f"/feedback/{feedback_id}/accept")
            assert answer.status_code == 202
            assert (answer.json()["status"], answer.json()["reason"]) == ("queued", None)
        assert store.accepted() == {feedback_id}
    lines = client.get(f"/feedback/{feedback_id}/events").json()["events"]
    assert [line["status"] for line in lines] == ["queued", "quarantined", "queued"]


def test_a_label_called_accepted_is_not(client: AppClient, settings: Settings) -> None:
    post(client, "accepted")
    with FeedbackStore.open(settings.store_url) as store:
        assert store.accepted() == frozenset()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/feedback/no"),
        ("DELETE", "/feedback/no"),
        ("GET", "/feedback/no/events"),
    ],
)
def test_an_unknown_item(client: AppClient, method: str, path: str) -> None:
    assert_problem(client.request(method, path), 404, "feedback_id")


def test_a_first_request_that_does_not_end(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_flight(*_: object, **__: object) -> None:
        raise IdempotencyInFlight("not done")

    monkeypatch.setattr(FeedbackStore, "add_together", in_flight)
    body = {"items": [{"input": row(1), "label": "a"}]}
    answer = client.post("/feedback", json=body, headers={"Idempotency-Key": "k"})
    assert_problem(answer, 409, "Idempotency-Key")
    assert answer.headers["retry-after"] == "1"


def test_fifty_at_once_with_one_key(settings: Settings, store_url: str) -> None:
    """Two applications on one store, as two workers are."""
    shared = settings.model_copy(update={"store_url": store_url})
    publish_small(shared.models_dir, "v1")
    body = {"items": [{"input": row(1), "label": "a"}, {"input": row(2), "label": "b"}]}

    async def all_at_once() -> list[httpx.Response]:
        apps = [create_app(shared), create_app(shared)]
        lives = [app.router.lifespan_context(app) for app in apps]
        for life in lives:
            await life.__aenter__()
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
            for app in apps
        ]
        headers = {"Idempotency-Key": "one"}
        posts = [clients[n % 2].post("/feedback", json=body, headers=headers) for n in range(50)]
        answers = await asyncio.gather(*posts)
        for client, life in zip(clients, lives, strict=True):
            await client.aclose()
            await life.__aexit__(None, None, None)
        return answers

    answers = asyncio.run(all_at_once())
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    with FeedbackStore.open(store_url) as store:
        assert store.counts_by_status().queued == 2


def quarantined(url: str, *ids: str) -> None:
    """Set waiting items aside, as a job does."""
    with FeedbackStore.open(url) as store:
        claim = store.claim(worker="w", limit=9, lease=timedelta(minutes=1))
        assert claim is not None
        store.quarantine(claim.token, ids, "its neighbours disagree")


def test_a_quarantined_item_is_accepted_once(client: AppClient, settings: Settings) -> None:
    first, other = post(client, "a", "b")
    quarantined(settings.store_url, first, other)
    assert client.get(f"/feedback/{first}").json()["reason"] == "its neighbours disagree"
    for _ in range(2):
        answer = client.post(f"/feedback/{first}/accept")
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["reason"]) == ("queued", None)
    lines = client.get(f"/feedback/{first}/events").json()["events"]
    assert [line["status"] for line in lines] == ["queued", "quarantined", "queued"]
    assert (lines[-1]["actor"], lines[-1]["detail"]) == ("anonymous", "accepted")
    assert client.get(f"/feedback/{other}").json()["status"] == "quarantined"


def test_what_cannot_be_accepted(client: AppClient) -> None:
    (feedback_id,) = post(client, "a")
    client.request("DELETE", f"/feedback/{feedback_id}")
    refused = client.post(f"/feedback/{feedback_id}/accept")
    assert_problem(refused, 409, "feedback_id")
    assert refused.json()["type"].endswith("not-quarantined")
    assert client.get(f"/feedback/{feedback_id}").json()["status"] == "withdrawn"
    assert_problem(client.post("/feedback/no/accept"), 404, "feedback_id")
    assert_problem(client.post(f"/feedback/{feedback_id}/accept?why=so"), 422)


def test_disputes_are_listed_until_the_voices_agree(client: AppClient, settings: Settings) -> None:
    assert client.get("/disputes").json() == {"disputes": [], "next": None}
    with FeedbackStore.open(settings.store_url) as store:
        for number, second in ((0, "a"), (1, "b"), (2, "b")):
            x = np.asarray(row(number), dtype=np.float32).reshape(2, 3)
            store.add([NewFeedback("a", x)], author="ada")
            store.add([NewFeedback(second, x)], author="bob")
    first = client.get("/disputes", params={"limit": 1}).json()
    (dispute,) = first["disputes"]
    assert dispute["label"] == "b"
    assert [(v["author"], v["label"]) for v in dispute["voices"]] == [("bob", "b"), ("ada", "a")]
    rest = client.get("/disputes", params={"limit": 1, "cursor": first["next"]}).json()
    assert rest["next"] is None
    (other,) = rest["disputes"]
    assert client.request("DELETE", f"/feedback/{other['voices'][0]['feedback_id']}").is_success
    assert client.get("/disputes").json() == {"disputes": [dispute], "next": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [({"cursor": "x"}, "cursor"), ({"limit": "0"}, "limit"), ({"a": "1"}, "query")],
)
def test_a_query_for_disputes_that_does_not_fit(
    client: AppClient, query: dict[str, str], field: str
) -> None:
    assert_problem(client.get("/disputes", params=query), 422, field)


@pytest.mark.parametrize("strange", ["%00", "a%00b", "%ff", "a.b", "a" * 65])
def test_what_no_id_looks_like_is_not_asked_for(settings: Settings, strange: str) -> None:
    """PostgreSQL fails at a NUL, which would look like a store that is away; here it is away."""
    publish_small(settings.models_dir, "v1")
    nowhere = f"sqlite:///{settings.models_dir}/CURRENT/in-a-file.db"
    away = settings.model_copy(update={"store_url": nowhere})
    with running_app(away) as client:
        assert_problem(client.get("/feedback/nobody"), 503)
        for method, path in (
            ("GET", f"/feedback/{strange}"),
            ("DELETE", f"/feedback/{strange}"),
            ("GET", f"/feedback/{strange}/events"),
            ("POST", f"/feedback/{strange}/accept"),
        ):
            assert_problem(client.request(method, path), 404, "feedback_id")
