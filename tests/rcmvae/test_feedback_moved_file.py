"""A store whose file is deleted or replaced while it is open."""

import logging
import shutil
from pathlib import Path

import pytest

from rcmvae.errors import FeedbackNotFound, StoreUnavailable
from rcmvae.feedback import FeedbackStore
from tests.rcmvae.feedback_fixtures import correction, url_of


def _delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def _replace_and_move_on(store: FeedbackStore, path: Path) -> None:
    """Replace the file, and let the store go over to it as another thread would."""
    _delete(path)
    with FeedbackStore.open(url_of(path)):
        assert store.counts_by_status().queued == 0


def test_what_is_acknowledged_after_a_deletion_can_be_read_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "f.db"
    with FeedbackStore.open(url_of(path)) as store:
        (lost,) = store.add([correction(0)])
        _delete(path)
        with caplog.at_level(logging.ERROR, "rcmvae.feedback"):
            kept = store.add([correction(1), correction(2)])
            store.counts_by_status()
        assert len(caplog.records) == 1
        with FeedbackStore.open(url_of(path)) as other:
            assert [other.get(record.feedback_id) for record in kept] == list(kept)
        with pytest.raises(FeedbackNotFound):
            store.get(lost.feedback_id)


def test_a_file_put_in_the_place_of_the_old_one_is_used(tmp_path: Path) -> None:
    path, backup = tmp_path / "f.db", tmp_path / "backup.db"
    with FeedbackStore.open(url_of(backup)) as earlier:
        (saved,) = earlier.add([correction(0)])
    with FeedbackStore.open(url_of(path)) as store, FeedbackStore.open(url_of(path)) as second:
        store.add([correction(1)])
        _delete(path)
        backup.rename(path)
        assert store.get(saved.feedback_id) == saved
        store.add([correction(2)])
        assert second.counts_by_status().queued == 2
        second.add([correction(3)])
        assert store.counts_by_status().queued == 3


def test_a_write_to_a_file_that_went_meanwhile_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with FeedbackStore.open(url_of(path)) as store:
        with pytest.raises(StoreUnavailable, match="replaced"), store._database.write():
            _replace_and_move_on(store, path)
        (kept,) = store.add([correction(0)])
        assert store.get(kept.feedback_id) == kept


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    with FeedbackStore.open(url_of(folder / "f.db")) as store:
        store.add([correction(0)])
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreUnavailable, match="folder"):
            store.add([correction(1)])
        assert not folder.exists()
        (tmp_path / "elsewhere").rename(folder)
        store.add([correction(1)])
        assert store.counts_by_status().queued == 2
        shutil.rmtree(folder)


def test_junk_in_the_place_of_the_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path, junk = (
        tmp_path / "f.db",
        b"not a database, though longer than a header of 100 bytes. " * 9,
    )
    with FeedbackStore.open(url_of(path)) as store:
        _delete(path)
        path.write_bytes(junk)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="not a database"):
                store.add([correction(0)])
        assert path.read_bytes() == junk
        path.unlink()
        assert store.add([correction(0)])
