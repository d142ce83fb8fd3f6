"""Names of versions: valid, sortable, never a path."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.bundle import is_version, new_version

NOW = datetime(2026, 11, 23, 16, 50, 0, 999_999, tzinfo=UTC)
TIMES = st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_form() -> None:
    assert new_version(NOW, None)[:-8] == "20261123T165000Z-"


def test_time_is_utc() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert new_version(east, None).startswith("20261123T165000Z-")


def test_time_zone_is_demanded() -> None:
    with pytest.raises(ValueError, match="aware"):
        new_version(NOW.replace(tzinfo=None), None)


@given(
    now=TIMES,
    parent_time=TIMES,
)
def test_child_sorts_after_its_parent_whatever_the_clock_says(
    now: datetime, parent_time: datetime
) -> None:
    parent = new_version(parent_time, None)
    child = new_version(now, parent)
    assert is_version(child)
    assert child > parent


@given(parent=st.text(max_size=30))
def test_parent_of_another_form_has_no_say(parent: str) -> None:
    assert new_version(NOW, parent).startswith("20261123T165000Z-")


@pytest.mark.parametrize("parent", ["99991231T235959Z-00000000", "20261399T999999Z-00000000"])
def test_parent_without_a_successor_has_no_say(parent: str) -> None:
    assert new_version(NOW, parent).startswith("20261123T165000Z-")


def test_two_of_one_second_differ() -> None:
    assert len({new_version(NOW, None) for _ in range(100)}) == 100


@given(name=st.text(max_size=70))
def test_no_version_is_a_path(name: str) -> None:
    if is_version(name):
        assert not set(name) & set("/\\\0\n ")
        assert name.strip(".") != ""
        assert not name.startswith(".")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a\n", "CURRENT", "Current", "a" * 65]
)
def test_names_that_are_none(name: str) -> None:
    assert not is_version(name)
