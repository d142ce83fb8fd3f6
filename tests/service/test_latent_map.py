"""GET /latent-map: what it holds, where the points come from, and when it need not be sent."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from rcmvae.bundle import publish_bundle, read_arrays, write_tensors
from rcmvae.bundle.manifest import LATENT_MAP
from rcmvae.feedback import Span
from service import live_points
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import MAX_ROWS
from tests.service.problems import assert_problem
from tests.service.small_bundle import CIRCLE, UNLABELLED, known_inputs, publish_small, small_draft

COLUMNS = {
    "point_id": "string",
    "source": "dictionary<values=string, indices=int32, ordered=0>",
    "x": "float",
    "y": "float",
    "label": "dictionary<values=string, indices=int32, ordered=0>",
    "predicted": "dictionary<values=string, indices=int32, ordered=0>",
    "channel": "int16",
    "total": "float",
    "aleatoric": "float",
    "epistemic": "float",
    "p_familiar": "float",
    "p_owned": "float",
    "decision": "dictionary<values=string, indices=int32, ordered=0>",
    "created": "timestamp[ms, tz=UTC]",
    "bundle_version": "dictionary<values=string, indices=int32, ordered=0>",
}


def table_of(response: httpx.Response) -> pa.Table:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    with pa.ipc.open_stream(response.content) as stream:
        return stream.read_all()


def points(client: AppClient, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table_of(client.get(f"/latent-map{query}")).to_pylist()
    return rows


def predicted(client: AppClient, rows: Sequence[object]) -> list[str]:
    """Post inputs, wait until the store has them, and return their ids."""
    ids = []
    for start in range(0, len(rows), MAX_ROWS):
        inputs = list(rows[start : start + MAX_ROWS])
        answer = client.post("/predict", json={"inputs": inputs}).json()
        ids += [each["prediction_id"] for each in answer["predictions"]]
    client.call(client.runtime.captures.flush())
    return ids


def test_the_stream_has_the_documented_columns(shared_client: AppClient) -> None:
    schema = table_of(shared_client.get("/latent-map")).schema
    assert {field.name: str(field.type) for field in schema} == COLUMNS
    assert schema.metadata[b"bundle_version"] == b"v1"
    assert json.loads(schema.metadata[b"labels"]) == ["circle", "square"]


def test_reference_points_are_judged_as_a_prediction_is(shared_client: AppClient) -> None:
    rows = points(shared_client, "?sources=reference")
    assert [row["point_id"] for row in rows] == ["r-3", "r-7", "r-11"]
    assert [row["label"] for row in rows] == ["circle", "square", None]
    inputs = [CIRCLE, [1 - v for v in CIRCLE], UNLABELLED]
    answer = shared_client.post("/predict", json={"inputs": inputs}).json()["predictions"]
    for row, said in zip(rows, answer, strict=True):
        assert (row["predicted"], row["channel"]) == (said["label"], said["channel"])
        assert row["decision"] == said["ood"]["decision"]
        parts = said["uncertainty"]
        epistemic = parts["channel_ambiguity"] + parts["label_map_ignorance"]
        actual = [row[k] for k in ("x", "y", "total", "aleatoric", "epistemic")]
        expected = [*said["position"], parts["total"], parts["aleatoric"], epistemic]
        np.testing.assert_allclose(actual, expected, atol=1e-5)
        np.testing.assert_allclose(
            [row["p_familiar"], row["p_owned"]],
            [said["ood"]["p_familiar"], said["ood"]["p_owned"]],
            atol=1e-6,
        )


def test_captures_and_labelled_inputs_join_the_reference_points(client: AppClient) -> None:
    x = known_inputs(3, seed=7)
    ids = predicted(client, x.tolist())
    items = [
        {"prediction_id": ids[1], "label": "star"},
        {"input": UNLABELLED, "label": "cross"},
        {"input": [0.5] * 6, "label": "grey"},
    ]
    posted = client.post("/feedback", json={"items": items}).json()["items"]
    rows = points(client)
    said = {row["point_id"]: (row["source"], row["label"]) for row in rows}
    assert said == {
        "r-3": ("reference", "circle"),
        "r-7": ("reference", "square"),
        # What a person said about an input stands at its reference point, not beside it.
        "r-11": ("reference", "cross"),
        ids[0]: ("capture", None),
        ids[1]: ("capture", "star"),
        ids[2]: ("capture", None),
        posted[2]["feedback_id"]: ("feedback", "grey"),
    }
    answer = client.post("/predict", json={"inputs": [x[0].tolist(), [0.5] * 6]}).json()
    for name, expected in zip(
        (ids[0], posted[2]["feedback_id"]), answer["predictions"], strict=True
    ):
        row = next(row for row in rows if row["point_id"] == name)
        np.testing.assert_allclose([row["x"], row["y"]], expected["position"], atol=1e-6)
    alone = points(client, "?sources=feedback")
    assert {row["label"] for row in alone} == {"star", "cross", "grey"}


def test_of_two_labels_of_an_input_the_newest_stands(client: AppClient) -> None:
    for label in ("first", "second"):
        client.post("/feedback", json={"items": [{"input": UNLABELLED, "label": label}]})
    assert points(client, "?sources=reference")[2]["label"] == "second"


def test_limit_keeps_the_newest_of_each_source(client: AppClient) -> None:
    ids = predicted(client, known_inputs(5, seed=3).tolist())
    rows = points(client, "?limit=2")
    assert [row["point_id"] for row in rows] == ["r-3", "r-7", *ids[3:]]
    assert [row["point_id"] for row in points(client, "?sources=capture&limit=4")] == ids[1:]


def test_trimmed_captures_leave_the_picture(settings: Settings) -> None:
    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"capture_keep": 4})) as client:
        first = predicted(client, known_inputs(3, seed=3).tolist())
        assert len(points(client, "?sources=capture")) == 3
        second = predicted(client, known_inputs(3, seed=4).tolist())
        rows = points(client, "?sources=capture")
        assert [row["point_id"] for row in rows] == [first[2], *second]


def test_captures_are_judged_in_parts_and_remembered_in_bounded_number(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_points, "CHUNK", 2)
    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"map_points": 5})) as client:
        first = predicted(client, known_inputs(7, seed=3).tolist())
        assert [row["point_id"] for row in points(client, "?sources=capture")] == first[2:]
        second = predicted(client, known_inputs(2, seed=4).tolist())
        rows = points(client, "?sources=capture")
        assert [row["point_id"] for row in rows] == [*first[4:], *second]
        assert client.runtime.live_points.held == 5


def test_a_request_that_is_given_up_loses_no_point(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_points, "CHUNK", 2)
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        ids = predicted(client, known_inputs(6, seed=3).tolist())
        block = Event()
        client.runtime.large_work.submit(block.wait, 20)

        async def given_up() -> None:
            served, span = client.runtime.bundles.current(), Span(1, 6)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.runtime.live_points.captures(served, span, 9), 0.2)
            block.set()

        client.call(given_up())
        assert [row["point_id"] for row in points(client, "?sources=capture")] == ids


def test_a_store_that_was_replaced_shows_its_own_captures(client: AppClient) -> None:
    predicted(client, known_inputs(5, seed=3).tolist())
    assert len(points(client, "?sources=capture")) == 5
    with client.runtime.store.store() as store:
        store.trim_captures(0)
    ids = predicted(client, known_inputs(2, seed=4).tolist())
    assert [row["point_id"] for row in points(client, "?sources=capture")] == ids


def test_a_new_version_judges_every_point_anew(client: AppClient) -> None:
    predicted(client, known_inputs(3, seed=7).tolist())
    before = points(client)
    publish_small(client.runtime.settings.models_dir, "v2", "v1", extra=30)
    client.call(client.runtime.bundles.refresh_in_thread())
    after = points(client)
    assert [row["point_id"] for row in before] == [row["point_id"] for row in after]
    assert [(row["x"], row["y"]) for row in before] == [(row["x"], row["y"]) for row in after]
    assert any(a["total"] != b["total"] for a, b in zip(before, after, strict=True))
    assert {row["bundle_version"] for row in after} == {"v1", "v2"}


def test_an_unchanged_picture_is_not_sent_again(client: AppClient) -> None:
    first = client.get("/latent-map")
    tag = first.headers["etag"]
    again = client.get("/latent-map", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert client.get("/latent-map?limit=1", headers={"If-None-Match": tag}).status_code == 200
    client.post("/feedback", json={"items": [{"input": UNLABELLED, "label": "cross"}]})
    changed = client.get("/latent-map", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_bundle_without_reference_points_has_an_empty_picture(settings: Settings) -> None:
    draft = small_draft("v1")
    arrays = dict(read_arrays(LATENT_MAP, draft.contents[LATENT_MAP]))
    del arrays["logits"]
    contents = {**draft.contents, LATENT_MAP: write_tensors(arrays)}
    publish_bundle(settings.models_dir, replace(draft, contents=contents), expected_parent=None)
    with running_app(settings) as client:
        assert points(client) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?sources=moon", "sources"),
        ("?sources=", "sources"),
        ("?limit=0", "limit"),
        ("?limit=100001", "limit"),
        ("?limit=1e3", "limit"),
        ("?color=red", "query"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(
    shared_client: AppClient, query: str, field: str
) -> None:
    assert_problem(shared_client.get(f"/latent-map{query}"), 422, field)


def test_without_a_bundle_it_says_so(empty: AppClient) -> None:
    assert_problem(empty.get("/latent-map"), 503)
