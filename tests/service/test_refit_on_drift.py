"""An alarm asks for one refit of a bundle, whatever happens around it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobStore
from service.refit_on_drift import request_refit
from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.conftest import small_settings
from tests.service.small_bundle import known_inputs, publish_small

NOISE = [[0.9, 0.1, 0.8, 0.2, 0.9, 0.1]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return small_settings(tmp_path).model_copy(update={"drift_run_length": 1000.0})


@pytest.fixture
def client(settings: Settings) -> Iterator[AppClient]:
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        yield client


def drift(client: AppClient) -> None:
    for _ in range(12):
        assert client.post("/predict", json={"inputs": NOISE}).status_code == 200


def follow(client: AppClient) -> tuple[JobRecord, ...]:
    client.call(client.runtime.refit_on_drift.follow())
    jobs: tuple[JobRecord, ...] = client.call(
        client.runtime.store.run(lambda store: JobStore.of(store).newest(10))
    )
    return jobs


def test_an_alarm_asks_once(client: AppClient, settings: Settings) -> None:
    drift(client)
    (job,) = follow(client)
    assert (job.method, job.origin) == (JobMethod.REFIT, JobOrigin.DRIFT)
    assert job.requested_by is None
    # The job is done, the traffic goes on, and another worker raises its own alarm.
    with FeedbackStore.open(settings.store_url) as store:
        assert JobStore.of(store).claim("w", timedelta(seconds=9)) is not None
    drift(client)
    with running_app(settings) as other:
        drift(other)
        assert [each.job_id for each in follow(other)] == [job.job_id]
    assert [each.job_id for each in follow(client)] == [job.job_id]


def test_known_traffic_asks_for_nothing(client: AppClient) -> None:
    client.post("/predict", json={"inputs": known_inputs(4, seed=5).tolist()})
    assert follow(client) == ()


def test_where_the_store_is_away_it_asks_again(
    client: AppClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    drift(client)
    with monkeypatch.context() as patch:
        patch.setattr(client.runtime.store, "store", away)
        for _ in range(2):
            client.call(client.runtime.refit_on_drift.follow())
    assert caplog.text.count("no refit is asked for on drift yet") == 1
    assert len(follow(client)) == 1


def test_the_next_bundle_may_ask_again_after_a_pause(tmp_path: Path) -> None:
    with FeedbackStore.open(f"sqlite:///{tmp_path / 'f.db'}") as store:
        now = store.clock()
        first = request_refit(store, now - timedelta(days=3))
        worker = JobStore.of(store)
        assert worker.claim("w", timedelta(seconds=9)) is not None

        def at(hours: float) -> FeedbackStore:
            return FeedbackStore(store.database, clock=lambda: now + timedelta(hours=hours))

        ids = [
            request_refit(at(hours), now + timedelta(hours=created)).job_id
            for hours, created in ((0.5, 0.4), (5, -1), (5, 4))
        ]
    assert ids[:2] == [first.job_id] * 2
    assert ids[2] != first.job_id
