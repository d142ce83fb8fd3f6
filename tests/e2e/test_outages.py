"""The store goes away and the disk is full, below a real service, a real watcher and clients."""

from pathlib import Path

import pytest

from benchmarks.outages import Lengths, is_good, run
from tests.training.tiny import TinyRun

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SECONDS = 3.0
"""30 in the benchmark, which kills refits as well; of them there is test_refit_process."""


def test_serving_goes_on_and_nothing_is_lost(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.copy_models(tmp_path)
    figures = run(tmp_path, Lengths(SECONDS, kills=0, calm_seconds=1.0), seed=0)
    assert is_good(figures), figures
    for name in ("away", "full"):
        assert figures[f"{name}_refused"], "the outage was none"
        assert figures[f"{name}_predictions"]
