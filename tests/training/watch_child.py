"""A watcher that is killed by SIGKILL right before or after one step of its first job.

Run as ``python -m tests.training.watch_child MODELS STORE_URL STEP LEASE_SECONDS``.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from rcmvae.bundle import move_pointer
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobStore
from tests.training.tiny import LENIENT
from training.due import Schedule
from training.watch import WatchConfig, Watcher

STEPS: dict[str, Callable[[], Any]] = {
    "with the feedback claimed": lambda: patch("training.retrain.load_current", die),
    "with the bundle staged": lambda: patch("training.promotion.move_pointer", die),
    "with the pointer moved": lambda: patch("training.promotion.move_pointer", move_and_die),
    "with the feedback applied": lambda: patch.object(FeedbackStore, "release", die),
    "before it can say so": lambda: patch.object(JobStore, "finish", die),
}


def die(*_: object) -> NoReturn:
    """Be gone, like a process that the kernel kills."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable: nothing outlives SIGKILL")


def move_and_die(models: Path, expected: str | None, target: str) -> NoReturn:
    move_pointer(models, expected, target)
    die()


def main(models: str, url: str, step: str, lease: str) -> None:
    schedule = Schedule(quiet=timedelta(0), refit_every=timedelta(0))
    config = WatchConfig(Path(models), LENIENT, schedule, 0.01, timedelta(seconds=float(lease)))
    with FeedbackStore.open(url) as store, STEPS[step]():
        Watcher(store, config).watch()


if __name__ == "__main__":
    main(*sys.argv[1:])
