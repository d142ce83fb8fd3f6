"""The schema goes up and down, is what the code says, and is made once by however many."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, column, insert, inspect, make_url, select, table
from sqlalchemy.exc import DBAPIError

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import Capture, FeedbackStore, NewFeedback
from rcmvae.feedback.postgresql import open_postgresql
from rcmvae.feedback.revision import NONE, _config, current, downgrade, newest, upgrade
from rcmvae.feedback.schema import capture, feedback, metadata
from rcmvae.feedback.sqlite import choose_driver, open_sqlite
from tests.rcmvae.feedback_fixtures import (
    acknowledged,
    correction,
    let_go,
    pixels,
    start_child,
    url_of,
)


def engine_on(path: Path) -> Engine:
    return engine_at(url_of(path))


def engine_at(url: str) -> Engine:
    if url.startswith("sqlite"):
        return open_sqlite(make_url(url), driver=choose_driver(), busy_seconds=5)
    return open_postgresql(make_url(url), busy_seconds=5)


def test_every_revision_goes_up_down_and_up_again(store_url: str) -> None:
    engine = engine_at(store_url)
    revisions = [
        script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
    ]
    for revision in reversed(revisions):
        upgrade(engine, revision)
        assert current(engine) == revision
        downgrade(engine, "-1")
        upgrade(engine, revision)
    assert current(engine) == newest() == revisions[0]
    downgrade(engine, NONE)
    assert current(engine) is None
    assert inspect(engine).get_table_names() == ["alembic_version"]
    upgrade(engine)
    assert set(metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()


def test_the_migrations_lead_to_the_schema_of_the_code(store_url: str) -> None:
    engine = engine_at(store_url)
    upgrade(engine)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = engine_on(tmp_path / "f.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE capture (unrelated INTEGER)")
    with pytest.raises(StoreUnavailable, match="already exists"):
        FeedbackStore.open(url_of(tmp_path / "f.db"))
    assert inspect(engine).get_table_names() == ["capture"]
    engine.dispose()


def test_what_was_there_before_authors_is_kept_up_and_down(store_url: str) -> None:
    engine = engine_at(store_url)
    upgrade(engine, "0002")
    row = {
        "feedback_id": "f",
        "idempotency_key": "k",
        "label": "7",
        "status": "applied",
        "created": 5,
        "input_shape": "8x8",
        "input_encoding": "f32le",
        "input_sha256": "00",
        "input_data": b"0",
    }
    old = table("feedback", *(column(name) for name in row))
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO submission VALUES ('k', 'b', 1)")
        connection.execute(insert(old), row)
    upgrade(engine)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT author, idempotency_key FROM feedback").all()
        assert [tuple(row) for row in rows] == [("anonymous", "k")]
        keys = connection.exec_driver_sql("SELECT author, idempotency_key FROM submission").all()
        assert [tuple(row) for row in keys] == [("anonymous", "k")]
        events = connection.exec_driver_sql("SELECT feedback_id, actor, status FROM feedback_event")
        assert [tuple(row) for row in events] == [("f", "anonymous", "applied")]
        connection.exec_driver_sql("UPDATE feedback SET status = 'withdrawing'")
        connection.exec_driver_sql("INSERT INTO submission VALUES ('b', 'k', 'later', 9)")
    downgrade(engine, "0002")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT status FROM feedback").scalar_one() == "applied"
        assert connection.exec_driver_sql("SELECT body_sha256 FROM submission").scalar_one() == "b"
    upgrade(engine)
    engine.dispose()


def test_bytes_become_floats_for_older_code_and_are_read_again(store_url: str) -> None:
    """Corrections and captures; the older code's reading is written out here."""
    bytes_of = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.float32)
    inputs = [bytes_of[0] / np.float32(255), bytes_of[1] * np.float32(1 / 255), pixels(0)]
    inputs.append(np.zeros((28, 28), np.float32))
    with FeedbackStore.open(store_url) as store:
        ids = [r.feedback_id for r in store.add([NewFeedback("7", x) for x in inputs])]
        now = datetime.now(UTC)
        store.save_captures([Capture(str(i), x, "v1", now) for i, x in enumerate(inputs)])
    engine = engine_at(store_url)
    with engine.begin() as connection:
        kinds = set(connection.exec_driver_sql("SELECT input_encoding FROM capture").scalars())
    assert kinds == {"u8/255", "u8*(1/255)", "u8/255+zlib", "f32le"}
    downgrade(engine, "0004")
    for kept in (feedback, capture):
        columns = kept.c.input_encoding, kept.c.input_sha256, kept.c.input_data
        with engine.begin() as connection:
            rows = connection.execute(select(*columns).order_by(kept.c.seq)).all()
        assert [tuple(row) for row in rows] == [
            ("f32le", hashlib.sha256(x.tobytes()).hexdigest(), x.tobytes()) for x in inputs
        ]
    engine.dispose()
    with FeedbackStore.open(store_url) as store:
        for i, (feedback_id, x) in enumerate(zip(ids, inputs, strict=True)):
            np.testing.assert_array_equal(store.get(feedback_id).input, x)
            np.testing.assert_array_equal(store.captured(str(i)).input, x)


@pytest.mark.parametrize(
    "change", ["UPDATE feedback_event SET actor = 'x'", "DELETE FROM feedback_event"]
)
def test_the_history_cannot_be_changed(store_url: str, change: str) -> None:
    with FeedbackStore.open(store_url) as store:
        (added,) = store.add([correction(0)])
        with pytest.raises(DBAPIError, match="append-only"), store._database.engine.begin() as c:
            c.exec_driver_sql(change)
        assert [event.actor for event in store.events(added.feedback_id)] == ["anonymous"]


def test_what_is_in_the_store_survives_the_next_opening(tmp_path: Path) -> None:
    url = url_of(tmp_path / "f.db")
    with FeedbackStore.open(url) as store:
        (added,) = store.add([correction(0)])
    with FeedbackStore.open(url) as store:
        assert store.get(added.feedback_id) == added


def test_a_schema_from_the_future_is_refused(tmp_path: Path) -> None:
    url = url_of(tmp_path / "f.db")
    FeedbackStore.open(url).close()
    engine = engine_on(tmp_path / "f.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="9999"):
        FeedbackStore.open(url)


def test_processes_that_open_at_once_share_one_schema_and_one_key(store_url: str) -> None:
    children = [start_child("submit", store_url, "key") for _ in range(3)]
    for child in children:
        let_go(child)
    replies = [acknowledged(child) for child in children]
    assert [child.returncode for child in children] == [0] * 3
    assert len(replies[0]) == 1
    assert replies == [replies[0]] * 3
    with FeedbackStore.open(store_url) as store:
        assert store.counts_by_status().queued == 1
