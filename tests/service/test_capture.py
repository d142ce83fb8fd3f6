"""The capture buffer against a real store."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event
from starlette.concurrency import run_in_threadpool

from rcmvae.errors import PredictionNotFound
from service.capture import CaptureBuffer, Seen
from service.capture_policy import CapturePolicy
from service.metrics import Metrics
from service.settings import Settings
from service.store import LazyStore
from tests.service.app_client import running_app
from tests.service.small_bundle import UNLABELLED, known_inputs, publish_small


def _seen(count: int, start: int = 0) -> list[Seen]:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return [
        Seen(f"p{i}", np.full((2,), i, dtype=np.float32), "v1", now)
        for i in range(start, start + count)
    ]


def _buffer(store: LazyStore, folder: Path, rows: int = 4, keep: int = 100) -> CaptureBuffer:
    metrics = Metrics(folder, multiprocess=False)
    return CaptureBuffer(store, metrics, rows=rows, keep=keep, flush_seconds=0.001)


def _dropped(buffer: CaptureBuffer) -> float:
    sample = buffer._metrics._registry.get_sample_value("rcmvae_captures_dropped_total")
    assert sample is not None
    return sample


@pytest.fixture
def store(tmp_path: Path) -> LazyStore:
    return LazyStore(f"sqlite:///{tmp_path / 'f.db'}")


def test_memory_is_bounded_and_the_lost_are_counted(store: LazyStore, tmp_path: Path) -> None:
    buffer = _buffer(store, tmp_path)
    buffer.add(_seen(10))
    found = asyncio.run(buffer.find([f"p{i}" for i in range(10)]))
    assert sorted(found) == ["p6", "p7", "p8", "p9"]
    assert _dropped(buffer) == 6
    store.close()


def test_what_was_flushed_is_found_when_memory_has_forgotten(
    store: LazyStore, tmp_path: Path
) -> None:
    buffer = _buffer(store, tmp_path)
    for start in (0, 4, 8):
        buffer.add(_seen(4, start))
        asyncio.run(buffer.flush())
    found = asyncio.run(buffer.find(["p0", "p5", "p11"]))
    assert [found[f"p{i}"].input[0] for i in (0, 5, 11)] == [0, 5, 11]
    assert _dropped(buffer) == 0
    store.close()


def test_any_number_of_unknown_ids_costs_two_transactions(tmp_path: Path) -> None:
    store = LazyStore(f"sqlite:///{tmp_path / 'f.db'}")
    begun: list[None] = []
    event.listen(store.store()._database.engine, "begin", lambda _: begun.append(None))
    buffer = _buffer(store, tmp_path)
    buffer.add(_seen(1))
    found = asyncio.run(buffer.find(["p0", *(f"nobody-{i}" for i in range(4096))]))
    assert list(found) == ["p0"]
    assert len(begun) == 2
    store.close()


def test_a_busy_store_leaves_the_other_threads_alone(store: LazyStore) -> None:
    """As many operations as anybody likes wait; a thread of the common pool is free at once."""
    go_on = threading.Event()

    async def crowd() -> str:
        blocked = [asyncio.create_task(store.run(lambda _: go_on.wait(20))) for _ in range(60)]
        await asyncio.sleep(0.05)
        try:
            return await asyncio.wait_for(run_in_threadpool(lambda: "free"), 10)
        finally:
            go_on.set()
            assert all(await asyncio.gather(*blocked))

    assert asyncio.run(crowd()) == "free"
    store.close()


def test_the_store_is_trimmed(store: LazyStore, tmp_path: Path) -> None:
    buffer = _buffer(store, tmp_path, keep=3)
    buffer.add(_seen(4))
    asyncio.run(buffer.flush())
    with pytest.raises(PredictionNotFound):
        store.store().captured("p0")
    assert store.store().captured("p3").prediction_id == "p3"
    store.close()


def test_captures_wait_while_the_store_is_away(tmp_path: Path) -> None:
    """The folder of the database cannot be made while a file stands in its place."""
    (tmp_path / "var").write_text("in the way")
    store = LazyStore(f"sqlite:///{tmp_path / 'var' / 'f.db'}")
    buffer = _buffer(store, tmp_path)
    buffer.add(_seen(3))
    asyncio.run(buffer.flush())
    asyncio.run(buffer.flush())
    (tmp_path / "var").unlink()
    asyncio.run(buffer.flush())
    assert store.store().captured("p0").prediction_id == "p0"
    assert _dropped(buffer) == 0
    store.close()


def test_what_is_too_old_goes_without_any_traffic(store: LazyStore, tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, multiprocess=False)
    buffer = CaptureBuffer(store, metrics, rows=9, keep=9, keep_days=2.0, flush_seconds=0.001)
    now = datetime.now(UTC)
    ages = {"p0": 3.0, "p1": 2.1, "p2": 1.9, "p3": 0.0}
    x = np.zeros(2, dtype=np.float32)
    buffer.add([Seen(name, x, "v1", now - timedelta(days=age)) for name, age in ages.items()])
    asyncio.run(buffer.flush())
    asyncio.run(buffer.forget())
    assert sorted(asyncio.run(buffer.find(ages))) == ["p2", "p3"]
    assert sorted(store.store().captured_many(ages)) == ["p2", "p3"]
    assert store.store().forget_captures(now + timedelta(days=1)) == 2
    assert store.store().forget_captures(now + timedelta(days=1)) == 0
    store.close()


def test_a_clock_that_was_ahead_keeps_no_old_ones_in_memory(
    store: LazyStore, tmp_path: Path
) -> None:
    metrics = Metrics(tmp_path, multiprocess=False)
    buffer = CaptureBuffer(store, metrics, rows=9, keep=9, keep_days=2.0, flush_seconds=0.001)
    now, x = datetime.now(UTC), np.zeros(2, dtype=np.float32)
    ages = {"ahead": -400.0, "old": 3.0, "young": 0.0}
    buffer.add([Seen(name, x, "v1", now - timedelta(days=age)) for name, age in ages.items()])
    asyncio.run(buffer.forget())
    assert sorted(asyncio.run(buffer.find(ages))) == ["ahead", "young"]
    store.close()


def test_without_an_age_nothing_is_too_old(store: LazyStore, tmp_path: Path) -> None:
    buffer = _buffer(store, tmp_path)
    buffer.add([Seen("p", np.zeros(2, dtype=np.float32), "v1", datetime(1999, 1, 1, tzinfo=UTC))])
    asyncio.run(buffer.flush())
    asyncio.run(buffer.forget())
    assert store.store().captured("p").prediction_id == "p"
    store.close()


def test_the_policy_decides_whose_id_is_good_for_feedback(settings: Settings) -> None:
    publish_small(settings.models_dir, "v1")
    more: dict[str, object] = {
        "capture_policy": CapturePolicy.DOUBTFUL,
        "capture_uncertain": 1e9,
        "capture_share": 0.0,
    }
    with running_app(settings.model_copy(update=more)) as client:
        rows = [*known_inputs(3, seed=1).reshape(3, -1).tolist(), UNLABELLED]
        body: dict[str, object] = {"inputs": rows}
        answers = client.post("/predict", json=body).json()["predictions"]
        known = {row["prediction_id"]: row["ood"]["decision"] == "known" for row in answers}
        assert set(known.values()) == {True, False}
        for name, is_known in known.items():
            body = {"items": [{"prediction_id": name, "label": "a"}]}
            assert client.post("/feedback", json=body).status_code == (404 if is_known else 202)
