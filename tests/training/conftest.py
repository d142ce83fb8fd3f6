"""What the tiny run left, and a store; the session makes the run once, in tests/conftest.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rcmvae.bundle import Bundle
from rcmvae.feedback import FeedbackStore
from tests.training.tiny import TinyRun


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """More threads than free cores make everything here several times slower."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundle(tiny: TinyRun) -> Bundle:
    return tiny.bundle


@pytest.fixture
def models(tiny: TinyRun, tmp_path: Path) -> Path:
    """A models folder of the test's own."""
    return tiny.copy_models(tmp_path)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'feedback.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[FeedbackStore]:
    with FeedbackStore.open(store_url) as opened:
        yield opened
