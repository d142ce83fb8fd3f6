"""An application over a small real bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.service.app_client import AppClient, running_app
from tests.service.bad_requests import MAX_BODY_BYTES, MAX_ROWS
from tests.service.small_bundle import publish_small


def small_settings(folder: Path) -> Settings:
    """Settings for a test; the pause between flushes is as short as it can be."""
    return Settings(
        models_dir=folder / "models",
        store_url=f"sqlite:///{folder / 'feedback.db'}",
        max_rows=MAX_ROWS,
        max_body_bytes=MAX_BODY_BYTES,
        inline_rows=2,
        capture_flush_seconds=0.01,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return small_settings(tmp_path)


@pytest.fixture
def empty(settings: Settings) -> Iterator[AppClient]:
    """Without a bundle."""
    with running_app(settings) as client:
        yield client


@pytest.fixture
def client(settings: Settings) -> Iterator[AppClient]:
    """With bundle v1."""
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    """With bundle v1, for tests that leave nothing behind that another would see."""
    settings = small_settings(tmp_path_factory.mktemp("shared"))
    publish_small(settings.models_dir, "v1")
    with running_app(settings) as client:
        yield client
