"""The bundle watcher over real bundles on disk."""

import logging
import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rcmvae.bundle import Bundle, move_pointer, stage_bundle
from rcmvae.errors import BundleNotFound, ProviderUnavailable
from service.hotswap import BundleWatcher
from service.metrics import Metrics
from service.refused_bundles import SwapFailure
from service.served import Served, open_served
from tests.service.small_bundle import publish_small, small_draft

CPU = ("CPUExecutionProvider",)


class _Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _watcher(folder: Path, clock: Callable[[], float] = time.monotonic) -> BundleWatcher:
    metrics = Metrics(folder, multiprocess=False)
    return BundleWatcher(
        folder / "models", lambda b: open_served(b, providers=CPU, threads=1), metrics, clock
    )


def _sample(watcher: BundleWatcher, name: str, **labels: str) -> float:
    value = watcher._metrics._registry.get_sample_value(name, labels)
    assert value is not None
    return value


def _failures(watcher: BundleWatcher) -> dict[str, float]:
    counts = {
        reason.value: _sample(watcher, "rcmvae_bundle_swap_failures_total", reason=reason.value)
        for reason in SwapFailure
    }
    return {reason: count for reason, count in counts.items() if count}


def _refusing(watcher: BundleWatcher) -> dict[str, float]:
    (family,) = watcher._metrics.refused.collect()
    assert [sample.labels["reason"] for sample in family.samples] == list(SwapFailure)
    return {sample.labels["reason"]: sample.value for sample in family.samples if sample.value}


def test_nothing_published_is_no_failure(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    watcher.refresh()
    with pytest.raises(BundleNotFound):
        watcher.current()
    assert _failures(watcher) == {}


def test_follows_the_pointer_forward_and_back(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    publish_small(tmp_path / "models", "v1")
    watcher.refresh()
    first = watcher.current()
    watcher.refresh()
    assert watcher.current() is first
    publish_small(tmp_path / "models", "v2", "v1")
    watcher.refresh()
    assert watcher.current().version == "v2"
    move_pointer(tmp_path / "models", "v2", "v1")
    watcher.refresh()
    assert watcher.current().version == "v1"
    assert _sample(watcher, "rcmvae_bundle_swaps_total") == 3


def test_damaged_bundle_is_refused_once_and_the_old_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = _watcher(tmp_path)
    models = tmp_path / "models"
    publish_small(models, "v1")
    watcher.refresh()
    stage_bundle(models, small_draft("v2", "v1"))
    damaged = models / "v2" / "encoder.onnx"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    move_pointer(models, "v1", "v2")
    with caplog.at_level(logging.ERROR, "bentoml.rcmvae"):
        for _ in range(3):
            watcher.refresh()
    assert watcher.current().version == "v1"
    assert _failures(watcher) == _refusing(watcher) == {"damaged": 1}
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "v2" in message
    assert "encoder.onnx" in message
    assert "v1 goes on serving" in message


def test_a_good_bundle_after_a_damaged_one_is_taken(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    models = tmp_path / "models"
    publish_small(models, "v1")
    (models / "v1" / "tau.onnx").unlink()
    watcher.refresh()
    with pytest.raises(BundleNotFound):
        watcher.current()
    assert _refusing(watcher) == {"damaged": 1}
    publish_small(models, "v2", "v1")
    watcher.refresh()
    assert watcher.current().version == "v2"
    assert _refusing(watcher) == {}
    assert _failures(watcher) == {"damaged": 1}


def test_garbage_in_the_pointer_is_refused_once(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    models = tmp_path / "models"
    publish_small(models, "v1")
    watcher.refresh()
    (models / "CURRENT").write_bytes(b"../../etc\n")
    watcher.refresh()
    watcher.refresh()
    assert watcher.current().version == "v1"
    assert _failures(watcher) == {"pointer": 1}
    assert _refusing(watcher) == {"pointer": 1}
    (models / "CURRENT").write_bytes(b"v1\n")
    watcher.refresh()
    assert _refusing(watcher) == {}
    (models / "CURRENT").write_bytes(b"\xff")
    watcher.refresh()
    assert _failures(watcher) == {"pointer": 2}


def test_missing_bundle_and_missing_pointer(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    models = tmp_path / "models"
    publish_small(models, "v1")
    publish_small(models, "v2", "v1")
    watcher.refresh()
    shutil.rmtree(models / "v1")
    (models / "CURRENT").write_bytes(b"v1\n")
    watcher.refresh()
    (models / "CURRENT").unlink()
    watcher.refresh()
    assert watcher.current().version == "v2"
    assert _failures(watcher) == {"not_found": 1}


def test_a_bundle_that_comes_late_is_taken_without_moving_the_pointer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """CURRENT was copied before the folder, and the folder file by file."""
    clock = _Clock()
    watcher = _watcher(tmp_path, clock)
    models = tmp_path / "models"
    publish_small(models, "v1")
    watcher.refresh()
    publish_small(models, "v2", "v1")
    (models / "v2").rename(tmp_path / "v2")
    with caplog.at_level(logging.ERROR, "bentoml.rcmvae"):
        watcher.refresh()
        (tmp_path / "v2").rename(models / "v2")
        (models / "v2" / "tau.onnx").rename(tmp_path / "tau.onnx")
        clock.now += 5
        watcher.refresh()
    assert watcher.current().version == "v1"
    assert _failures(watcher) == {"not_found": 1, "damaged": 1}
    assert len(caplog.records) == 2
    (tmp_path / "tau.onnx").rename(models / "v2" / "tau.onnx")
    clock.now += 9.9
    watcher.refresh()
    assert watcher.current().version == "v1"
    clock.now += 0.2
    watcher.refresh()
    assert watcher.current().version == "v2"


def test_attempts_come_ever_less_often_and_are_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish_small(tmp_path / "models", "v1")
    clock, attempts = _Clock(), []

    def fail(_: object) -> object:
        attempts.append(clock.now)
        raise RuntimeError("no memory")

    metrics = Metrics(tmp_path, multiprocess=False)
    watcher = BundleWatcher(tmp_path / "models", fail, metrics, clock)  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR, "bentoml.rcmvae"):
        for _ in range(1500):
            watcher.refresh()
            clock.now += 1
    pauses = [after - before for before, after in pairwise(attempts)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert _failures(watcher) == {"session": 1}
    assert len(caplog.records) == 1


def test_an_unreadable_pointer_is_refused_and_the_old_bundle_stays(tmp_path: Path) -> None:
    watcher = _watcher(tmp_path)
    publish_small(tmp_path / "models", "v1")
    watcher.refresh()
    (tmp_path / "models" / "CURRENT").unlink()
    (tmp_path / "models" / "CURRENT").mkdir()
    watcher.refresh()
    watcher.refresh()
    assert watcher.current().version == "v1"
    assert _failures(watcher) == {"pointer": 1}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ProviderUnavailable("no CUDA"), "provider"), (RuntimeError("no memory"), "session")],
)
def test_whatever_opening_raises_is_refused(tmp_path: Path, error: Exception, reason: str) -> None:
    publish_small(tmp_path / "models", "v1")

    def fail(_: object) -> object:
        raise error

    metrics = Metrics(tmp_path, multiprocess=False)
    watcher = BundleWatcher(tmp_path / "models", fail, metrics)  # type: ignore[arg-type]
    watcher.refresh()
    assert _failures(watcher) == {reason: 1}


def test_nothing_is_served_before_it_is_warm(tmp_path: Path) -> None:
    """What opens and warms a bundle is done before anybody is told of it."""
    publish_small(tmp_path / "models", "v1")
    seen: list[str] = []

    def opening(bundle: Bundle) -> Served:
        served = open_served(bundle, providers=CPU, threads=1)
        with pytest.raises(BundleNotFound):
            watcher.current()
        seen.append(served.version)
        return served

    watcher = BundleWatcher(tmp_path / "models", opening, Metrics(tmp_path, multiprocess=False))
    watcher.refresh()
    assert seen == [watcher.current().version] == ["v1"]
