"""Which SQLite is used how, and what happens when the file is not as it should be."""

import os
import random
import resource
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from rcmvae.errors import FeedbackNotFound, PredictionNotFound, StoreUnavailable
from rcmvae.feedback import Capture, FeedbackStore, NewFeedback
from rcmvae.feedback.sqlite import choose_driver, choose_journal, configure, open_sqlite
from tests.rcmvae.feedback_fixtures import StillClock, correction, pixels, url_of


@pytest.mark.parametrize(
    ("version", "journal"),
    [
        ((3, 40, 1), "delete"),
        ((3, 50, 7), "delete"),
        ((3, 51, 2), "delete"),
        ((3, 51, 3), "wal"),
        ((3, 53, 4), "wal"),
        ((4, 0, 0), "wal"),
    ],
)
def test_wal_only_where_the_reset_bug_is_fixed(version: tuple[int, ...], journal: str) -> None:
    assert choose_journal(version) == journal


def test_the_driver_with_the_newest_sqlite_is_used() -> None:
    assert choose_driver().sqlite_version_info >= sqlite3.sqlite_version_info


@pytest.mark.parametrize("driver", [choose_driver(), sqlite3], ids=["newest", "python"])
def test_every_connection_is_durable_and_strict(tmp_path: Path, driver: Any) -> None:
    engine = open_sqlite(make_url(url_of(tmp_path / "f.db")), driver=driver, busy_seconds=1.5)
    expected = {
        "journal_mode": choose_journal(driver.sqlite_version_info),
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "busy_timeout": 1500,
    }
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            for name, value in expected.items():
                assert connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value, name
            connection.rollback()
    engine.dispose()


def test_a_wal_file_in_use_is_not_touched_by_an_affected_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    user = sqlite3.connect(path)
    affected: Any = sqlite3.connect(path)
    user.execute("PRAGMA journal_mode=wal")
    user.execute("CREATE TABLE t (x)")
    user.commit()
    with pytest.raises((StoreUnavailable, sqlite3.OperationalError), match=r"locked|WAL"):
        configure(affected, "delete", 0.1)
    user.close()
    configure(affected, "delete", 0.1)
    assert affected.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    affected.close()


def test_the_first_connections_wait_for_each_other_to_set_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    driver = choose_driver()
    # Changing the journal beside an open write fails at once, whatever the driver's own timeout.
    writer = driver.connect(str(path), isolation_level=None, check_same_thread=False)
    late = driver.connect(str(path), timeout=5)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("CREATE TABLE t (x)")
    end = threading.Timer(0.2, writer.execute, ["COMMIT"])
    end.start()
    configure(late, "wal", 5)
    assert late.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    end.join()
    late.close()
    writer.close()


def test_a_sqlite_without_returning_is_refused(tmp_path: Path) -> None:
    old: Any = SimpleNamespace(sqlite_version_info=(3, 34, 1), sqlite_version="3.34.1")
    with pytest.raises(StoreUnavailable, match=r"3\.35 or newer, got 3\.34\.1"):
        open_sqlite(make_url(url_of(tmp_path / "f.db")), driver=old, busy_seconds=1)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_store_that_would_not_last_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="not durable"):
        FeedbackStore.open(url)


@pytest.mark.parametrize("url", ["", "::secret::", "nosuchdb://user:secret@host/name"])
def test_a_bad_url_is_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        FeedbackStore.open(url)
    assert "secret" not in str(caught.value)


def test_a_locked_store_gives_up_in_time_and_recovers(tmp_path: Path) -> None:
    with FeedbackStore.open(url_of(tmp_path / "f.db"), busy_seconds=0.1) as store:
        store.add([correction(0)])
        other = choose_driver().connect(str(tmp_path / "f.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.add([correction(1)])
        if choose_journal(choose_driver().sqlite_version_info) == "wal":
            assert store.counts_by_status().queued == 1  # readers do not wait for a writer
        other.execute("ROLLBACK")
        other.close()
        store.add([correction(1)])
        assert store.counts_by_status().queued == 2


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_bytes(b"not a database, though longer than a header of one hundred bytes. " * 9)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="not a database"):
        FeedbackStore.open(url_of(path))
    assert path.read_bytes() == before


def test_a_directory_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        FeedbackStore.open(url_of(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="folder"):
        FeedbackStore.open(url_of(tmp_path / "file" / "f.db"))


@contextmanager
def no_privileges() -> Iterator[None]:
    """Be somebody to whom file permissions apply: root is not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_read_only_store_is_refused() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "f.db"
        with FeedbackStore.open(url_of(path)) as store:
            store.add([correction(0)])
        path.chmod(0o444)
        folder.chmod(0o555)
        with no_privileges(), pytest.raises(StoreUnavailable, match=r"unable|readonly"):
            FeedbackStore.open(url_of(path)).add([correction(1)])
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_full_disk_refuses_and_then_recovers(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    chance = np.random.default_rng(0)
    item, *more = [NewFeedback("7", chance.random((64, 64), dtype=np.float32)) for _ in range(41)]
    with FeedbackStore.open(url_of(path)) as store:
        store.add([item])
        before = store.counts_by_status()
        largest = max(file.stat().st_size for file in tmp_path.iterdir())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 8192, hard))
        try:
            with pytest.raises(StoreUnavailable, match=r"disk|full"):
                store.add(more)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert store.counts_by_status() == before
        store.add(more)
        assert store.counts_by_status().queued == 41


def everything(store: FeedbackStore, ids: list[str]) -> None:
    """Read all there is, and write a little."""
    store.counts_by_status()
    for feedback_id in ids:
        store.get(feedback_id)
    for number in range(20):
        store.captured(f"p{number}")
    store.add([correction(0)])


def test_damage_anywhere_in_the_file_is_answered_as_unavailable(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    with FeedbackStore.open(url_of(good), clock=StillClock()) as store:
        ids = [record.feedback_id for record in store.add([correction(n) for n in range(20)])]
        now = StillClock()()
        store.save_captures([Capture(f"p{n}", pixels(n), "v", now) for n in range(20)])
    content = good.read_bytes()
    chance = random.Random(5)
    answers = set()
    for _ in range(40):
        start = chance.randrange(0, len(content), 64)
        noise = chance.randbytes(chance.choice([64, 512, 4096]))
        bad.write_bytes((content[:start] + noise + content[start + len(noise) :])[: len(content)])
        try:
            with FeedbackStore.open(url_of(bad)) as store:
                everything(store, ids)
            answers.add("read")
        except StoreUnavailable:
            answers.add("unavailable")
        except (FeedbackNotFound, PredictionNotFound):
            answers.add("row gone")
        for file in tmp_path.glob("bad.db*"):
            file.unlink()
    assert "unavailable" in answers


def test_errors_do_not_repeat_what_was_stored(tmp_path: Path) -> None:
    with FeedbackStore.open(url_of(tmp_path / "f.db")) as store:
        with store._database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE feedback")
        with pytest.raises(StoreUnavailable) as caught:
            store.add([correction(0, "a private label")])
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert "private" not in f"{caught.value} {caught.value.__cause__}"
