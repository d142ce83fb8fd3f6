"""Backup and restore of a store that other processes write to."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from benchmarks.postgresql import PostgresServer
from rcmvae.errors import FeedbackNotFound, StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.__main__ import main
from rcmvae.feedback.backup import back_up, restore
from rcmvae.feedback.revision import downgrade
from rcmvae.feedback.sqlite import choose_driver, choose_journal
from tests.rcmvae.feedback_fixtures import acknowledged, correction, let_go, start_child, url_of


def ids_in(path: Path) -> set[str]:
    connection = choose_driver().connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT feedback_id FROM feedback")}
    finally:
        connection.close()


def test_a_backup_while_another_process_writes(tmp_path: Path) -> None:
    url = url_of(tmp_path / "f.db")
    child = start_child("produce", url, "0")
    let_go(child)
    assert child.stdout is not None
    before: list[str] = []
    for number in range(4):
        before += [child.stdout.readline().strip() for _ in range(20)]
        count = back_up(url, tmp_path / f"{number}.db")
        held = ids_in(tmp_path / f"{number}.db")
        assert len(held) == count
        assert held.issuperset(before), "what was acknowledged before is in it"
    child.kill()
    told = before + acknowledged(child)
    assert ids_in(tmp_path / "f.db").issuperset(told), "and the writer lost nothing"
    assert [file.name for file in tmp_path.glob("?.db?*")] in (
        [],
        ["f.db-wal", "f.db-shm"],
        ["f.db-shm", "f.db-wal"],
    ), "a backup is one file"
    assert (tmp_path / "0.db").stat().st_mode & 0o077 == 0


def test_a_restore_while_another_process_writes(tmp_path: Path) -> None:
    path, backup = tmp_path / "f.db", tmp_path / "b.db"
    with FeedbackStore.open(url_of(path)) as store:
        kept = {record.feedback_id for record in store.add([correction(n) for n in range(5)])}
        back_up(url_of(path), backup)
        (lost,) = store.add([correction(6)])
        child = start_child("produce", url_of(path), "1")
        let_go(child)
        assert child.stdout is not None
        child.stdout.readline()
        assert restore(url_of(path), backup, replace=True) == len(kept)
        restored, end = store.counts_by_status().queued, time.monotonic() + 30
        while store.counts_by_status().queued <= restored + 10 and time.monotonic() < end:
            time.sleep(0.01)
        child.kill()
        last = acknowledged(child)[-1]
        assert store.get(last).feedback_id == last, "the writer went on in the restored store"
        with pytest.raises(FeedbackNotFound):
            store.get(lost.feedback_id)
    assert ids_in(path) > kept


@pytest.mark.skipif(
    choose_journal(tuple(choose_driver().sqlite_version_info)) != "wal", reason="no WAL here"
)
def test_a_log_that_a_killed_process_left_is_not_replayed(tmp_path: Path) -> None:
    path, backup = tmp_path / "f.db", tmp_path / "b.db"
    with FeedbackStore.open(url_of(path)) as store:
        kept = {record.feedback_id for record in store.add([correction(n) for n in range(3)])}
    back_up(url_of(path), backup)
    child = start_child("produce", url_of(path), "1")
    let_go(child)
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    acknowledged(child)
    assert (tmp_path / "f.db-wal").stat().st_size > 0
    restore(url_of(path), backup, replace=True)
    assert ids_in(path) == kept
    with FeedbackStore.open(url_of(path)) as store:
        store.add([correction(100)])
        assert store.counts_by_status().queued == 4


def test_a_restore_where_there_is_no_store_yet(tmp_path: Path) -> None:
    with FeedbackStore.open(url_of(tmp_path / "f.db")) as store:
        (record,) = store.add([correction(1)], idempotency_key="k", body_sha256="0" * 64)
        history = store.events(record.feedback_id)
    back_up(url_of(tmp_path / "f.db"), tmp_path / "b.db")
    url = url_of(tmp_path / "new" / "f.db")
    restore(url, tmp_path / "b.db")
    with FeedbackStore.open(url) as store:
        assert store.get(record.feedback_id) == record
        assert store.events(record.feedback_id) == history
        assert store.first_reply("k", "0" * 64) == (record,)


def test_a_backup_of_an_older_version_is_migrated_and_stays_as_it_is(tmp_path: Path) -> None:
    with FeedbackStore.open(url_of(tmp_path / "old.db")) as old:
        old.add([correction(1)])
        downgrade(old.database.engine, "-1")
    before = (tmp_path / "old.db").read_bytes()
    restore(url_of(tmp_path / "f.db"), tmp_path / "old.db")
    with FeedbackStore.open(url_of(tmp_path / "f.db")) as store:
        assert store.counts_by_status().queued == 1
    assert (tmp_path / "old.db").read_bytes() == before


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # The pages behind the first: the header stays as it is.
    content[4096 : 4096 * 4] = b"\xff" * (4096 * 3)
    path.write_bytes(content)


def test_what_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    path, backup = tmp_path / "f.db", tmp_path / "b.db"
    with FeedbackStore.open(url_of(path)) as store:
        (record,) = store.add([correction(1)])
        back_up(url_of(path), backup)
        damage(backup)
        (tmp_path / "text.db").write_text("this is not a database, by any means, at all\n" * 99)
        other = choose_driver().connect(tmp_path / "other.db")
        other.execute("CREATE TABLE t (a)")
        other.close()
        for name, why in (
            ("b.db", "damaged|malformed"),
            ("text.db", "not a database"),
            ("other.db", "expected a feedback store"),
            ("none.db", "unable to open"),
        ):
            with pytest.raises(StoreUnavailable, match=why):
                restore(url_of(path), tmp_path / name, replace=True)
        assert store.get(record.feedback_id) == record
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_store_is_not_backed_up(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with FeedbackStore.open(url_of(path)) as store:
        store.add([correction(1)])
    damage(path)
    with pytest.raises(StoreUnavailable, match=r"damaged|malformed"):
        back_up(url_of(path), tmp_path / "b.db")
    assert [file.name for file in tmp_path.iterdir() if "b.db" in file.name] == []


def test_a_lock_is_waited_for_and_no_longer(tmp_path: Path) -> None:
    path, backup = tmp_path / "f.db", tmp_path / "b.db"
    with FeedbackStore.open(url_of(path)) as store:
        store.add([correction(1)])
        back_up(url_of(path), backup)
        with store.database.write(), pytest.raises(StoreUnavailable):
            restore(url_of(path), backup, replace=True, busy_seconds=0.1)
        assert restore(url_of(path), backup, replace=True, busy_seconds=0.1) == 1


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, backup = url_of(tmp_path / "f.db"), str(tmp_path / "b.db")
    assert main(["backup", backup, "--store", url]) == 1
    assert "unable to open" in capsys.readouterr().err
    with FeedbackStore.open(url) as store:
        store.add([correction(1)])
    assert main(["backup", backup, "--store", url]) == 0
    assert capsys.readouterr().out == f"1 corrections backed up to {backup}\n"
    assert main(["backup", backup, "--store", url]) == 1
    assert "expected a new file" in capsys.readouterr().err
    assert main(["restore", backup, "--store", url]) == 1
    assert "would replace" in capsys.readouterr().err
    assert main(["restore", backup, "--store", url, "--replace"]) == 0
    assert main(["backup", backup, "--store", "postgresql+psycopg://u:secret@h/d"]) == 1
    said = capsys.readouterr().err
    assert "pg_dump" in said
    assert "secret" not in said


def test_postgresql_is_dumped_and_restored_by_its_own_programs(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """The commands of docs/api.md, while another process writes."""
    url, target = postgres.new_database(), postgres.new_database()
    dump = tmp_path / "feedback.dump"
    child = start_child("produce", url, "0")
    let_go(child)
    assert child.stdout is not None
    before = [child.stdout.readline().strip() for _ in range(20)]
    run(postgres.program("pg_dump"), "--format=custom", f"--file={dump}", plain(url))
    child.kill()
    acknowledged(child)
    options = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
    run(postgres.program("pg_restore"), *options, f"--dbname={plain(target)}", str(dump))
    with FeedbackStore.open(target) as store:
        assert all(store.events(name) for name in before)
        store.withdraw(before[0], "anna")
        store.add([correction(10_000_000)])


def plain(url: str) -> str:
    """The URL without SQLAlchemy's driver, as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def run(program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], check=True, env=dict(os.environ), timeout=60)
