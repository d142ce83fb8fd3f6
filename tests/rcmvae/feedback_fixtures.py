"""What the tests of the feedback store share: a still clock, inputs, child processes."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcmvae.feedback import Claim, FeedbackStore, NewFeedback

ROOT = Path(__file__).parents[2]
LEASE = timedelta(seconds=60)


class StillClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def pixels(seed: int) -> NDArray[np.float32]:
    """An 8x8 input that differs with the seed and does not compress."""
    return np.random.default_rng(seed).random((8, 8), dtype=np.float32)


def correction(seed: int, label: str = "7") -> NewFeedback:
    return NewFeedback(label, pixels(seed), f"prediction-{seed}", "v0")


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def start_child(role: str, url: str, *arguments: str) -> subprocess.Popen[str]:
    """Start tests/rcmvae/feedback_child.py and wait until it is ready to open the store."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.rcmvae.feedback_child", role, url, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def let_go(child: subprocess.Popen[str]) -> None:
    """Let a started child open the store and do its work."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def acknowledged(child: subprocess.Popen[str]) -> list[str]:
    """Wait for the end of a child; return the whole lines that it has not been asked for yet."""
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        # Not `communicate`: it would lose what `readline` has already taken from the pipe.
        output = child.stdout.read()
    child.wait(timeout=60)
    return [line.strip() for line in output.splitlines(keepends=True) if line.endswith("\n")]


def apply_all(store: FeedbackStore, version: str, limit: int = 100) -> Claim:
    """Claim what waits, and say that a bundle holds it and what it replaces no more."""
    claim = store.claim(worker="w", limit=limit, lease=LEASE)
    assert claim is not None
    store.mark_applied(
        claim.token,
        [record.feedback_id for record in claim.records],
        version,
        [record.feedback_id for record in claim.subtract],
    )
    return claim
