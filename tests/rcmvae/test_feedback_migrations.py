"""The schema goes up and down, is what the code says, and is made once by however many."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, make_url

from rcmvae.errors import StoreUnavailable
from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.revision import NONE, _config, current, downgrade, newest, upgrade
from rcmvae.feedback.schema import metadata
from rcmvae.feedback.sqlite import choose_driver, open_sqlite
from tests.rcmvae.feedback_fixtures import acknowledged, correction, let_go, start_child, url_of


def engine_on(path: Path) -> Engine:
    return open_sqlite(make_url(url_of(path)), driver=choose_driver(), busy_seconds=5)


def test_every_revision_goes_up_down_and_up_again(tmp_path: Path) -> None:
    engine = engine_on(tmp_path / "f.db")
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


def test_the_migrations_lead_to_the_schema_of_the_code(tmp_path: Path) -> None:
    engine = engine_on(tmp_path / "f.db")
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


def test_processes_that_open_at_once_share_one_schema_and_one_key(tmp_path: Path) -> None:
    children = [start_child("submit", tmp_path / "new" / "f.db", "key") for _ in range(3)]
    for child in children:
        let_go(child)
    replies = [acknowledged(child) for child in children]
    assert [child.returncode for child in children] == [0] * 3
    assert len(replies[0]) == 1
    assert replies == [replies[0]] * 3
    with FeedbackStore.open(url_of(tmp_path / "new" / "f.db")) as store:
        assert store.counts_by_status().queued == 1
