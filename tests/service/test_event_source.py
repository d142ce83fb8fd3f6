"""Where events come from: the store, the pointer and the workers, as a worker looks at them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from rcmvae.feedback import Capture
from rcmvae.jobs import JobMethod, JobOrigin, JobStore
from service import event_source
from service.event_feed import Event, EventKind, Subscriber
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.problems import assert_problem
from tests.service.small_bundle import CIRCLE, UNLABELLED, known_inputs, publish_small


def read(subscriber: Subscriber) -> dict[str, list[Any]]:
    """Data of the waiting events by kind."""
    told: dict[str, list[Any]] = {}
    while subscriber.waiting.qsize():
        event: Event = subscriber.waiting.get_nowait()
        told.setdefault(event.kind, []).append(json.loads(event.data))
    return told


def look(client: AppClient) -> None:
    client.call(client.runtime.captures.flush())
    client.call(client.runtime.events.look())


@pytest.fixture
def reader(client: AppClient) -> Iterator[Subscriber]:
    with client.runtime.events.feed.subscribed(None) as subscriber:
        yield subscriber


def test_predictions_are_told_as_they_were_answered(client: AppClient, reader: Subscriber) -> None:
    answer = client.post("/predict", json={"inputs": [CIRCLE, UNLABELLED]}).json()["predictions"]
    look(client)
    told = read(reader)[EventKind.PREDICTION]
    for event, said in zip(told, answer, strict=True):
        assert event["prediction_id"] == said["prediction_id"]
        assert (event["label"], event["channel"]) == (said["label"], said["channel"])
        assert event["decision"] == said["ood"]["decision"]
        np.testing.assert_allclose(event["position"], said["position"], atol=1e-6)
        assert event["total"] == pytest.approx(said["uncertainty"]["total"], abs=1e-6)
        assert (event["bundle_version"], event["skipped"]) == ("v1", 0)
    look(client)
    assert EventKind.PREDICTION not in read(reader)


def test_inputs_of_other_workers_are_told_too(client: AppClient, reader: Subscriber) -> None:
    x = known_inputs(1, seed=0)[0]
    store = client.runtime.store.store()
    store.save_captures([Capture("other-0", x, "v0", datetime.now(UTC))])
    look(client)
    assert [e["prediction_id"] for e in read(reader)[EventKind.PREDICTION]] == ["other-0"]


def test_of_many_inputs_the_newest_are_told_and_the_others_counted(
    client: AppClient, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_source, "MOST_PREDICTIONS", 2)
    rows = known_inputs(8, seed=1).tolist()
    ids = []
    for start, end in ((0, 3), (3, 4), (4, 8)):
        answer = client.post("/predict", json={"inputs": rows[start:end]}).json()
        ids += [each["prediction_id"] for each in answer["predictions"]]
        look(client)
    told = read(reader)[EventKind.PREDICTION]
    # Before the first look there was nobody to tell, so nothing counts as skipped.
    assert [(e["prediction_id"], e["skipped"]) for e in told] == [
        (ids[1], 0),
        (ids[2], 0),
        (ids[3], 0),
        (ids[6], 2),
        (ids[7], 0),
    ]


def test_inputs_that_fit_no_longer_are_left_out(client: AppClient, reader: Subscriber) -> None:
    wrong = Capture("wide-0", np.zeros((5, 5), dtype=np.float32), "v0", datetime.now(UTC))
    client.runtime.store.store().save_captures([wrong])
    look(client)
    assert EventKind.PREDICTION not in read(reader)


def test_a_swap_a_job_and_drift_are_told_once_each(client: AppClient, reader: Subscriber) -> None:
    look(client)
    told = read(reader)
    assert [e["bundle_version"] for e in told[EventKind.BUNDLE]] == ["v1"]
    assert [e["bundle_version"] for e in told[EventKind.DRIFT]] == ["v1"]
    assert EventKind.RETRAIN not in told
    publish_small(client.runtime.settings.models_dir, "v2", "v1")
    client.call(client.runtime.bundles.refresh_in_thread())
    jobs = JobStore.of(client.runtime.store.store())
    job = jobs.request(JobMethod.RELABEL, JobOrigin.REQUEST)
    look(client)
    look(client)
    told = read(reader)
    bundle = {"bundle_version": "v2", "parent_version": "v1", "method": "relabel"}
    assert told[EventKind.BUNDLE] == [bundle | {"labels": ["circle", "square"]}]
    assert [(e["job_id"], e["state"]) for e in told[EventKind.RETRAIN]] == [
        (job.job_id, "requested")
    ]
    assert told[EventKind.DRIFT][0] == client.get("/drift").json()


def test_nobody_is_looked_for_where_nobody_reads(client: AppClient) -> None:
    client.post("/predict", json={"inputs": [CIRCLE]})
    client.call(client.runtime.captures.flush())
    client.call(client.runtime.events.look_for_readers())
    with client.runtime.events.feed.subscribed(None) as subscriber:
        assert read(subscriber) == {}


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/events?kind=bundle", {}, "query"),
        ("/events", {"Last-Event-ID": "-1"}, "Last-Event-ID"),
        ("/events", {"Last-Event-ID": "9" * 19}, "Last-Event-ID"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(
    client: AppClient, path: str, headers: dict[str, str], field: str
) -> None:
    assert_problem(client.get(path, headers=headers), 422, field)


def test_without_a_bundle_there_is_no_stream(empty: AppClient) -> None:
    assert_problem(empty.get("/events"), 503)


def test_a_stream_ends_by_itself_before_the_deadline(settings: Settings) -> None:
    publish_small(settings.models_dir, "v1")
    with running_app(settings.model_copy(update={"timeout_seconds": 1.0})) as client:
        response = client.get("/events")
        assert client.runtime.events.feed.subscribers == 0
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    first, *told = response.text.split("\n\n")
    assert first == "retry: 1000"
    assert [block.split("\n")[0] for block in told if block] == ["event: bundle", "event: drift"]
    assert json.loads(told[0].split("data: ")[1])["bundle_version"] == "v1"


def test_beyond_the_most_streams_the_next_is_told_to_come_later(client: AppClient) -> None:
    with ExitStack() as stack:
        for _ in range(client.runtime.settings.event_streams):
            stack.enter_context(client.runtime.events.feed.subscribed(None))
        response = client.get("/events")
    assert_problem(response, 503)
    assert response.headers["retry-after"] == "10"
