"""The pointer: strict content, compare-and-swap, never torn, over several processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.bundle import (
    Bundle,
    Check,
    is_version,
    load_bundle,
    load_current,
    move_pointer,
    prune,
    publish_bundle,
    read_pointer,
    stage_bundle,
)
from rcmvae.bundle.manifest import MANIFEST_NAME
from rcmvae.errors import BundleConflict, BundleDamaged, BundleNotFound
from tests.rcmvae.bundle_factory import FIRST, SECOND, THIRD, small_draft
from tests.rcmvae.bundle_processes import (
    PROCESSES,
    RIVALS,
    SHORTER,
    TURNS,
    compete,
    prune_until,
    publish_until,
    swap_until,
    target_of,
)

CHANGES = 100
VERSIONS = 25
PATIENCE = 60.0


@contextmanager
def beside(models: Path, *works: Callable[[Path, Event], None]) -> Iterator[Callable[[], bool]]:
    """Processes that work on a models folder until the block ends, however busy the machine is.

    Yields:
        Says whether they do still, and the test may wait for more.
    """
    stop, end = PROCESSES.Event(), time.monotonic() + PATIENCE
    workers = [PROCESSES.Process(target=work, args=(models, stop)) for work in works]
    for worker in workers:
        worker.start()
    try:
        yield lambda: time.monotonic() < end and all(worker.is_alive() for worker in workers)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def hollow_version(models: Path, version: str) -> None:
    """A version as far as the pointer looks: verifying it is the reader's task."""
    (models / version).mkdir(parents=True)
    (models / version / MANIFEST_NAME).touch()


def test_no_pointer_yet(tmp_path: Path) -> None:
    assert read_pointer(tmp_path) is None
    assert read_pointer(tmp_path / "missing") is None
    with pytest.raises(BundleNotFound, match="no version is current"):
        load_current(tmp_path)


def test_move_and_roll_back(tmp_path: Path) -> None:
    hollow_version(tmp_path, FIRST)
    hollow_version(tmp_path, SECOND)
    move_pointer(tmp_path, None, FIRST)
    move_pointer(tmp_path, FIRST, SECOND)
    assert (tmp_path / "CURRENT").read_bytes() == f"{SECOND}\n".encode()
    move_pointer(tmp_path, SECOND, FIRST)
    assert read_pointer(tmp_path) == FIRST


@pytest.mark.parametrize("expected", [None, SECOND])
def test_stale_expectation_conflicts(tmp_path: Path, expected: str | None) -> None:
    hollow_version(tmp_path, FIRST)
    hollow_version(tmp_path, SECOND)
    move_pointer(tmp_path, None, FIRST)
    with pytest.raises(BundleConflict, match=f"expected {expected or 'no version'}, got {FIRST}"):
        move_pointer(tmp_path, expected, SECOND)
    assert read_pointer(tmp_path) == FIRST


@pytest.mark.parametrize("target", [SECOND, "../x", ".lock", "CURRENT", "", "a\n"])
def test_target_must_be_there(tmp_path: Path, target: str) -> None:
    hollow_version(tmp_path, FIRST)
    move_pointer(tmp_path, None, FIRST)
    with pytest.raises(BundleNotFound):
        move_pointer(tmp_path, FIRST, target)
    assert read_pointer(tmp_path) == FIRST


def test_target_must_not_be_a_link(tmp_path: Path) -> None:
    hollow_version(tmp_path, FIRST)
    (tmp_path / SECOND).symlink_to(tmp_path / FIRST)
    with pytest.raises(BundleNotFound):
        move_pointer(tmp_path, None, SECOND)


def test_models_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound):
        move_pointer(tmp_path / "missing", None, FIRST)


def test_models_folder_may_be_a_link(tmp_path: Path) -> None:
    publish_bundle(tmp_path / "volume", small_draft(), expected_parent=None)
    (tmp_path / "models").symlink_to("volume")
    assert load_current(tmp_path / "models").version == FIRST


@given(content=st.binary(max_size=80) | st.from_regex(rb"\A[0-9A-Za-z._-]{1,70}\n?\Z"))
def test_pointer_is_a_version_or_damaged(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    models = tmp_path_factory.getbasetemp() / "any-pointer"
    models.mkdir(exist_ok=True)
    (models / "CURRENT").write_bytes(content)
    line = content[:-1].decode("ascii", errors="replace")
    if content.endswith(b"\n") and is_version(line):
        assert read_pointer(models) == line
        return
    with pytest.raises(BundleDamaged) as caught:
        read_pointer(models)
    assert (caught.value.check, caught.value.file) == (Check.POINTER, "CURRENT")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        FIRST.encode(),
        f"{FIRST}\n\n".encode(),
        f"{FIRST}\n{SECOND}\n".encode(),
        f"{FIRST}\r\n".encode(),
        f" {FIRST}\n".encode(),
        b"../x\n",
        b"CURRENT\n",
        b"\xff\n",
        b"a" * 10_000,
    ],
)
def test_garbage_in_the_pointer_is_refused_and_never_overwritten(
    tmp_path: Path, content: bytes
) -> None:
    hollow_version(tmp_path, SECOND)
    (tmp_path / "CURRENT").write_bytes(content)
    with pytest.raises(BundleDamaged, match="CURRENT: check 'pointer' failed"):
        read_pointer(tmp_path)
    with pytest.raises(BundleDamaged, match="CURRENT: check 'pointer' failed"):
        move_pointer(tmp_path, None, SECOND)
    assert (tmp_path / "CURRENT").read_bytes() == content


def test_pointer_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(f"{FIRST}\n")
    (tmp_path / "CURRENT").symlink_to("elsewhere")
    with pytest.raises(BundleDamaged, match="CURRENT: check 'regular_file' failed"):
        read_pointer(tmp_path)


def test_exactly_one_rival_wins_every_swap(tmp_path: Path) -> None:
    for turn in range(TURNS):
        for rival in range(RIVALS):
            hollow_version(tmp_path, target_of(rival, turn))
    start = PROCESSES.Barrier(RIVALS)
    rivals = [PROCESSES.Process(target=compete, args=(tmp_path, i, start)) for i in range(RIVALS)]
    for process in rivals:
        process.start()
    for process in rivals:
        process.join()
    assert [process.exitcode for process in rivals] == [0] * RIVALS
    wins = sorted(path.stem for path in tmp_path.glob("*.won"))
    assert [win[:4] for win in wins] == [f"v-{turn:02d}" for turn in range(TURNS)]
    assert read_pointer(tmp_path) == wins[-1]


def test_readers_never_see_a_torn_pointer(tmp_path: Path) -> None:
    hollow_version(tmp_path, FIRST)
    hollow_version(tmp_path, SHORTER)
    move_pointer(tmp_path, None, FIRST)
    seen, changes = [read_pointer(tmp_path)], 0
    with beside(tmp_path, swap_until) as goes_on:
        while changes < CHANGES and goes_on():
            seen.append(read_pointer(tmp_path))
            changes += seen[-1] != seen[-2]
    assert set(seen) == {FIRST, SHORTER}
    assert changes == CHANGES, "the reader hardly met the writer: the test saw nothing"


def test_readers_load_whole_bundles_while_others_publish_and_prune(tmp_path: Path) -> None:
    publish_bundle(tmp_path, small_draft(), expected_parent=None)
    seen = set[str]()
    with beside(tmp_path, publish_until, publish_until, prune_until) as goes_on:
        while len(seen) < VERSIONS and goes_on():
            seen.add(load_current(tmp_path).version)
    assert len(seen) == VERSIONS, "the reader hardly met the publishers: the test saw nothing"


def test_damaged_current_bundle_is_named(tmp_path: Path) -> None:
    publish_bundle(tmp_path, small_draft(), expected_parent=None)
    (tmp_path / FIRST / "tau.onnx").write_bytes(b"")
    with pytest.raises(BundleDamaged, match=r"tau\.onnx: check 'size'"):
        load_current(tmp_path)


def test_pointer_to_nowhere_is_not_found(tmp_path: Path) -> None:
    stage_bundle(tmp_path, small_draft())
    (tmp_path / "CURRENT").write_text(f"{THIRD}\n")
    with pytest.raises(BundleNotFound, match=THIRD):
        load_current(tmp_path)


def test_version_pruned_while_it_is_read_gives_way_to_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_bundle(tmp_path, small_draft(FIRST), expected_parent=None)
    stage_bundle(tmp_path, small_draft(SECOND))

    def overtaken(directory: Path) -> Bundle:
        """The real reader, overtaken once by a promotion and a prune."""
        if read_pointer(tmp_path) == FIRST:
            move_pointer(tmp_path, FIRST, SECOND)
            assert prune(tmp_path, keep=1) == (FIRST,)
        return load_bundle(directory)

    monkeypatch.setattr("rcmvae.bundle.pointer.load_bundle", overtaken)
    assert load_current(tmp_path).version == SECOND
