"""What waits in the store, as /metrics says it."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStatus, FeedbackStore, NewFeedback
from rcmvae.jobs import JobMethod, JobOrigin, JobResult, JobState, JobStore
from rcmvae.jobs.tally import JobTally, tally_jobs
from service.backlog import BacklogReader
from service.store import LazyStore
from tests.service.app_client import AppClient
from tests.service.bad_requests import ROW
from tests.service.test_metrics import samples

LEASE = timedelta(minutes=1)


def _end_job(store: FeedbackStore, state: JobState) -> None:
    jobs = JobStore.of(store)
    jobs.request(JobMethod.AUTO, JobOrigin.REQUEST, None)
    claim = jobs.claim("w", LEASE)
    assert claim is not None
    jobs.finish(claim.token, JobResult(state, "said", method=JobMethod.RELABEL))


def test_jobs_are_tallied_by_method_and_state(tmp_path: Path) -> None:
    with FeedbackStore.open(f"sqlite:///{tmp_path / 'f.db'}") as store:
        assert tally_jobs(store) == ()
        before = datetime.now(UTC)
        for state in (JobState.DONE, JobState.DONE, JobState.FAILED):
            _end_job(store, state)
        JobStore.of(store).request(JobMethod.REFIT, JobOrigin.SCHEDULE, None)
        tallies = {(t.method, t.state): t for t in tally_jobs(store)}
    counts = {kind: tally.count for kind, tally in tallies.items()}
    assert counts == {
        (JobMethod.RELABEL, JobState.DONE): 2,
        (JobMethod.RELABEL, JobState.FAILED): 1,
        (JobMethod.REFIT, JobState.REQUESTED): 1,
    }
    ended = tallies[JobMethod.RELABEL, JobState.DONE].finished
    assert ended is not None
    assert before <= ended <= datetime.now(UTC)
    waiting = tallies[JobMethod.REFIT, JobState.REQUESTED]
    assert waiting == JobTally(JobMethod.REFIT, JobState.REQUESTED, 1, None, 0.0)


def test_a_scrape_says_what_the_store_holds(client: AppClient) -> None:
    start = datetime.now(UTC).timestamp()
    first = samples(client)
    assert first["rcmvae_store_up", ()] == 1
    assert ("rcmvae_feedback_oldest_queued_timestamp_seconds", ()) not in first
    for status in FeedbackStatus:
        assert first["rcmvae_feedback_stored", (("status", status.value),)] == 0
    client.post("/feedback", json={"items": [{"input": ROW, "label": "a"}]})
    client.runtime.backlog._ended -= 2
    _end_job(client.runtime.store.store(), JobState.FAILED)
    later = samples(client)
    assert later["rcmvae_feedback_stored", (("status", "queued"),)] == 1
    assert later["rcmvae_feedback_oldest_queued_timestamp_seconds", ()] >= start
    failed = (("method", "relabel"), ("state", "failed"))
    assert later["rcmvae_retrain_jobs_total", failed] == 1
    assert later["rcmvae_retrain_open_jobs", (("state", "running"),)] == 0
    assert later["rcmvae_retrain_last_end_timestamp_seconds", (("state", "failed"),)] >= start
    assert ("rcmvae_retrain_last_end_timestamp_seconds", (("state", "done"),)) not in later


def test_a_scrape_says_how_far_the_running_job_is(client: AppClient) -> None:
    assert ("rcmvae_retrain_progress_ratio", ()) not in samples(client)
    jobs = JobStore.of(client.runtime.store.store())
    jobs.request(JobMethod.REFIT, JobOrigin.REQUEST)
    claim = jobs.claim("w", LEASE)
    assert claim is not None
    jobs.report(claim.token, 0.25, "refit: 31% of the epochs")
    client.runtime.backlog._ended -= 2
    assert samples(client)["rcmvae_retrain_progress_ratio", ()] == 0.25
    jobs.finish(claim.token, JobResult(JobState.DONE, "said"))
    client.runtime.backlog._ended -= 2
    assert ("rcmvae_retrain_progress_ratio", ()) not in samples(client)


class _Store(LazyStore):
    """Answers when it is let, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.asked = 0
        self.let = threading.Event()

    def store(self) -> FeedbackStore:
        self.asked += 1
        self.let.wait(30)
        raise StoreUnavailable("away")


def test_a_store_that_hangs_holds_up_no_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not asked again while it has not answered."""
    monkeypatch.setattr("service.backlog._PATIENCE_SECONDS", 0.05)
    store = _Store()

    async def scrapes() -> None:
        reader = BacklogReader(store)
        assert [await reader.read() for _ in range(5)] == [None] * 5
        assert store.asked == 1
        store.let.set()
        assert reader._reading is not None
        await reader._reading
        assert await reader.read() is None
        assert store.asked == 1
        reader._ended -= 2
        assert await reader.read() is None
        assert store.asked == 2

    asyncio.run(scrapes())


def test_scrapes_of_one_second_share_a_reading(tmp_path: Path) -> None:
    store = LazyStore(f"sqlite:///{tmp_path / 'f.db'}")

    async def scrapes() -> list[Any]:
        reader = BacklogReader(store)
        first, second = await asyncio.gather(reader.read(), reader.read())
        assert first is second
        row = np.zeros(6, np.float32)
        await store.run(lambda opened: opened.add([NewFeedback("a", row, None, "v1")]))
        assert await reader.read() is first
        reader._ended -= 2
        return [first, await reader.read()]

    first, later = asyncio.run(scrapes())
    store.close()
    assert (first.feedback.queued, later.feedback.queued) == (0, 1)


def test_a_scrape_without_a_store_says_so(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> FeedbackStore:
        raise StoreUnavailable("away")

    monkeypatch.setattr(client.runtime.store, "store", away)
    found = samples(client)
    assert found["rcmvae_store_up", ()] == 0
    assert not [name for name, _ in found if name == "rcmvae_feedback_stored"]
    assert found["rcmvae_bundle_swaps_total", ()] == 1


def test_requests_are_counted_by_owner_and_owners_are_bounded(client: AppClient) -> None:
    client.get("/bundle")
    assert samples(client)["rcmvae_owner_requests_total", (("owner", "anonymous"),)] >= 1
    for i in range(300):
        client.runtime.metrics.requests.count_owner(f"owner {i}")
    named = [name for name in samples(client) if name[0] == "rcmvae_owner_requests_total"]
    assert len(named) == 257
    assert samples(client)["rcmvae_owner_requests_total", (("owner", "(other)"),)] == 45


def test_the_build_says_what_it_is(client: AppClient) -> None:
    (labels,) = [labels for name, labels in samples(client) if name == "rcmvae_build_info"]
    assert {name for name, _ in labels} == {"version", "bundle_format", "python", "onnxruntime"}
