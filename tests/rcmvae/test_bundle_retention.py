"""Pruning: what is served and what it would be rolled back to always stays."""

import threading
from pathlib import Path

import pytest

from rcmvae.bundle import (
    list_versions,
    load_current,
    move_pointer,
    prune,
    publish_bundle,
    stage_bundle,
)
from rcmvae.bundle.lock import claim_folder, hold_lock
from rcmvae.errors import BundleDamaged
from tests.rcmvae.bundle_factory import small_draft

VERSIONS = ("v1", "v2", "v3", "v4", "v5")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Five generations, the last one current."""
    parent = None
    for version in VERSIONS:
        publish_bundle(tmp_path, small_draft(version, parent=parent), expected_parent=parent)
        parent = version
    return tmp_path


@pytest.mark.parametrize(
    ("current", "keep", "left"),
    [
        ("v5", 1, ("v4", "v5")),
        ("v5", 3, ("v3", "v4", "v5")),
        ("v3", 1, ("v2", "v3", "v5")),
        ("v1", 1, ("v1", "v5")),
        ("v5", 9, VERSIONS),
    ],
)
def test_current_its_parent_and_the_newest_stay(
    models: Path, current: str, keep: int, left: tuple[str, ...]
) -> None:
    if current != "v5":
        move_pointer(models, "v5", current)
    removed = prune(models, keep)
    assert list_versions(models) == left
    assert removed == tuple(version for version in VERSIONS if version not in left)
    assert load_current(models).version == current
    assert not list(models.glob(".trash-*"))


def test_keep_must_be_positive(models: Path) -> None:
    with pytest.raises(ValueError, match="keep: expected at least 1, got 0"):
        prune(models, 0)
    assert list_versions(models) == VERSIONS


def test_nothing_goes_while_the_parent_is_unknown(models: Path) -> None:
    (models / "v5" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(BundleDamaged):
        prune(models, 1)
    assert list_versions(models) == VERSIONS


def test_nothing_goes_while_the_pointer_is_garbage(models: Path) -> None:
    (models / "CURRENT").write_bytes(b"\0")
    with pytest.raises(BundleDamaged):
        prune(models, 1)
    assert list_versions(models) == VERSIONS


def test_missing_folder_has_no_versions(tmp_path: Path) -> None:
    assert list_versions(tmp_path / "missing") == ()
    assert prune(tmp_path / "missing", 1) == ()


def test_only_directories_with_a_version_name_are_versions(tmp_path: Path) -> None:
    stage_bundle(tmp_path, small_draft("v1"))
    (tmp_path / "v2").symlink_to("v1")
    (tmp_path / "v3").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "two words").mkdir()
    assert list_versions(tmp_path) == ("v1",)


def test_staging_of_a_living_publisher_is_left_alone(tmp_path: Path) -> None:
    stage_bundle(tmp_path, small_draft("v1"))
    alive, dead = tmp_path / ".staging-alive", tmp_path / ".staging-dead"
    alive.mkdir()
    dead.mkdir()
    with claim_folder(alive):
        prune(tmp_path, 1)
        assert alive.exists()
        assert not dead.exists()
    prune(tmp_path, 1)
    assert not alive.exists()


def test_lock_excludes_threads_of_one_process(tmp_path: Path) -> None:
    inside = threading.Event()

    def enter() -> None:
        with hold_lock(tmp_path):
            inside.set()

    thread = threading.Thread(target=enter)
    with hold_lock(tmp_path):
        thread.start()
        assert not inside.wait(0.1)
    assert inside.wait(10)
    thread.join()
