"""A short kill soak: the real service and real watchers under SIGKILL, and the judge itself."""

import random
from pathlib import Path

import pytest

from benchmarks.kill_soak import judge, soak
from rcmvae.bundle import load_current
from tests.training.tiny import TinyRun

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS = 4


def test_nothing_is_lost_or_applied_twice(tiny: TinyRun, tmp_path: Path) -> None:
    models, url = tiny.copy_models(tmp_path), f"sqlite:///{tmp_path / 'feedback.db'}"
    base = load_current(models)
    killed, said = soak(tmp_path, url, KILLS, random.Random(), pause=1.0)
    final = load_current(models)
    verdict = judge(url, base, final, said)
    assert killed.total() == KILLS
    assert verdict.is_good, verdict

    # The judge is no yes-man: a bundle without the labels, and one with a label that nobody said.
    standing = sum(len(each.standing) for each in said) - verdict.set_aside
    assert standing > 0
    assert judge(url, base, base, said).lost == standing
    for each in said:
        each.labels.pop(next(iter(each.standing), ""), None)
    unsaid = judge(url, base, final, said)
    assert unsaid.doubled > 0
    assert unsaid.counts_off > 0.1
