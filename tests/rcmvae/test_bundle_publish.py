"""Publishing: whole or not at all, even when the publisher is killed."""

import random
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from rcmvae.bundle import (
    Check,
    InputSignature,
    list_versions,
    load_bundle,
    load_current,
    move_pointer,
    prune,
    publish_bundle,
    read_pointer,
    stage_bundle,
    write_tensors,
)
from rcmvae.errors import BundleConflict, BundleDamaged, BundleNotFound
from tests.rcmvae.bundle_factory import DECODER_TEXT, FIRST, SECOND, THIRD, graph, small_draft
from tests.rcmvae.bundle_processes import PROCESSES, publish_for_ever

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
CONFIGURATIONS = st.dictionaries(
    st.text(max_size=8), SCALARS | st.lists(SCALARS, max_size=3), max_size=4
)
FILE_NAMES = st.from_regex(r"\Aextra[0-9A-Za-z._-]{0,20}\.(json|md|safetensors)\Z")


def extra_content(name: str, seed: int) -> bytes:
    if name.endswith(".safetensors"):
        return write_tensors({"a": np.random.default_rng(seed).random((2, 3)).T})
    return str(seed).encode()


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    shape=st.lists(st.integers(1, 99), min_size=1, max_size=4),
    metrics=st.dictionaries(
        st.text(max_size=9), st.floats(allow_nan=False, allow_infinity=False), max_size=4
    ),
    configuration=CONFIGURATIONS,
    created=st.datetimes(timezones=st.just(UTC)),
    extras=st.dictionaries(FILE_NAMES, st.integers(0, 99), max_size=3),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    labels: list[str],
    shape: list[int],
    metrics: dict[str, float],
    configuration: dict[str, JsonValue],
    created: datetime,
    extras: dict[str, int],
) -> None:
    draft = replace(
        small_draft(changes={name: extra_content(name, seed) for name, seed in extras.items()}),
        labels=tuple(labels),
        input=InputSignature(shape=tuple(shape), low=-1.5),
        metrics=metrics,
        configuration=configuration,
        created=created,
    )
    models = tmp_path_factory.mktemp("round") / "deep" / "models"
    manifest = publish_bundle(models, draft, expected_parent=None)
    bundle = load_current(models)
    assert bundle.manifest == manifest
    assert bundle.contents == draft.contents
    assert bundle.manifest.labels == draft.labels
    assert bundle.manifest.input == draft.input
    assert bundle.manifest.metrics == metrics
    assert bundle.manifest.configuration == configuration
    assert bundle.manifest.created == created
    for name, seed in extras.items():
        if name.endswith(".safetensors"):
            expected = np.random.default_rng(seed).random((2, 3)).T
            np.testing.assert_array_equal(bundle.arrays(name)["a"], expected)


def test_first_publication_and_successor(tmp_path: Path) -> None:
    publish_bundle(tmp_path, small_draft(FIRST), expected_parent=None)
    publish_bundle(tmp_path, small_draft(SECOND, parent=FIRST), expected_parent=FIRST)
    assert read_pointer(tmp_path) == SECOND
    assert list_versions(tmp_path) == (FIRST, SECOND)
    assert load_current(tmp_path).manifest.lineage.parent_version == FIRST


def test_staging_does_not_promote(tmp_path: Path) -> None:
    bundle = stage_bundle(tmp_path, small_draft(FIRST))
    assert read_pointer(tmp_path) is None
    assert load_bundle(tmp_path / FIRST) == bundle
    assert sorted(path.name for path in tmp_path.iterdir()) == [FIRST, ".lock"][::-1]


@pytest.mark.parametrize("expected", [None, THIRD])
def test_publication_on_another_parent_conflicts(tmp_path: Path, expected: str | None) -> None:
    publish_bundle(tmp_path, small_draft(FIRST), expected_parent=None)
    with pytest.raises(BundleConflict, match=f"got {FIRST}"):
        publish_bundle(tmp_path, small_draft(SECOND), expected_parent=expected)
    assert read_pointer(tmp_path) == FIRST
    assert list_versions(tmp_path) == (FIRST,)


def test_version_is_never_overwritten(tmp_path: Path) -> None:
    stage_bundle(tmp_path, small_draft(FIRST))
    before = load_bundle(tmp_path / FIRST)
    with pytest.raises(BundleConflict, match="exists already"):
        stage_bundle(tmp_path, small_draft(FIRST, changes={"MODEL_CARD.md": b"# Other\n"}))
    assert load_bundle(tmp_path / FIRST) == before


def test_even_an_empty_directory_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / FIRST).mkdir()
    with pytest.raises(BundleConflict, match="exists already"):
        stage_bundle(tmp_path, small_draft(FIRST))


def external_graph() -> bytes:
    model = graph(DECODER_TEXT)
    model.graph.initializer[0].external_data.add(key="location", value="elsewhere")
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("changes", "check", "named"),
    [
        ({"tau.onnx": b"no graph"}, Check.ONNX, "tau.onnx"),
        ({"decoder.onnx": external_graph()}, Check.EXTERNAL_DATA, "decoder.onnx"),
        ({"weights.safetensors": b"pickle"}, Check.SAFETENSORS, "weights.safetensors"),
        ({"evil.pkl": b""}, Check.FILE_TYPE, "evil.pkl"),
        ({"../evil.md": b""}, Check.MANIFEST, "evil"),
        ({"manifest.json": b"{}"}, Check.FILE_SET, "manifest.json"),
    ],
)
def test_bad_draft_leaves_nothing_behind(
    tmp_path: Path, changes: dict[str, bytes], check: Check, named: str
) -> None:
    models = tmp_path / "models"
    with pytest.raises(BundleDamaged, match=named) as caught:
        publish_bundle(models, small_draft(changes=changes), expected_parent=None)
    assert caught.value.check == check
    assert list(models.glob("*")) in ([], [models / ".lock"])
    assert [path.name for path in tmp_path.iterdir()] in ([], ["models"])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    draft = small_draft()
    contents = {
        name: draft.contents[name] for name in draft.contents if name != "golden.safetensors"
    }
    with pytest.raises(BundleDamaged, match=r"golden\.safetensors: check 'file_set'"):
        stage_bundle(tmp_path, replace(draft, contents=contents))
    assert list_versions(tmp_path) == ()


@pytest.mark.parametrize(
    "configuration", [{"a": float("nan")}, {"a": "\ud800"}, {"a": float("inf")}]
)
def test_configuration_that_json_cannot_hold_is_refused(
    tmp_path: Path, configuration: dict[str, JsonValue]
) -> None:
    with pytest.raises(BundleDamaged) as caught:
        stage_bundle(tmp_path, replace(small_draft(), configuration=configuration))
    assert caught.value.check in {Check.MANIFEST, Check.ROUND_TRIP}
    assert list_versions(tmp_path) == ()


def test_metrics_must_be_finite(tmp_path: Path) -> None:
    with pytest.raises(BundleDamaged, match=r"metrics\.accuracy"):
        stage_bundle(tmp_path, replace(small_draft(), metrics={"accuracy": float("nan")}))


@pytest.mark.parametrize("version", ["../x", ".hidden", "CURRENT", ""])
def test_version_must_be_a_name(tmp_path: Path, version: str) -> None:
    with pytest.raises(BundleNotFound):
        stage_bundle(tmp_path / "models", small_draft(version))
    assert list(tmp_path.iterdir()) == []


def test_killed_publisher_leaves_everything_loadable(tmp_path: Path) -> None:
    delays = random.Random(0)
    leftovers = 0
    last: str | None = None
    for _ in range(14):
        receiving, sending = PROCESSES.Pipe(duplex=False)
        publisher = PROCESSES.Process(target=publish_for_ever, args=(tmp_path, sending))
        publisher.start()
        sending.close()
        last = receiving.recv()  # it is at work now
        time.sleep(delays.uniform(0.0, 0.06))
        publisher.kill()
        publisher.join()
        last = latest_acknowledged(receiving, last)

        current = load_current(tmp_path)
        # Killed after the move and before the message, the successor may be current.
        assert last in {current.version, current.manifest.lineage.parent_version}
        for version in list_versions(tmp_path):
            load_bundle(tmp_path / version)
        leftovers += len(list(tmp_path.glob(".staging-*")))
        prune(tmp_path, keep=1)
        assert not list(tmp_path.glob(".staging-*"))
        assert not list(tmp_path.glob(".trash-*"))
        assert load_current(tmp_path).version == current.version
    assert leftovers > 0, "no kill fell into a write: the test saw nothing"


def latest_acknowledged(receiving: Connection, last: str) -> str:
    try:
        while True:
            last = receiving.recv()
    except EOFError:
        return last


def test_loser_of_a_race_stays_unreferenced_until_pruned(tmp_path: Path) -> None:
    publish_bundle(tmp_path, small_draft(FIRST), expected_parent=None)
    loser = stage_bundle(tmp_path, small_draft(SECOND, parent=FIRST))
    publish_bundle(tmp_path, small_draft(THIRD, parent=FIRST), expected_parent=FIRST)
    with pytest.raises(BundleConflict):
        move_pointer(tmp_path, FIRST, loser.version)
    assert load_bundle(tmp_path / SECOND) == loser
    assert prune(tmp_path, keep=1) == (SECOND,)
    assert list_versions(tmp_path) == (FIRST, THIRD)
