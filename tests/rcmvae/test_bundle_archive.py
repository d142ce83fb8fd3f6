"""Reading bundles: a whole one comes back byte by byte, a damaged one never."""

import hashlib
import json
import os
import shutil
import string
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcmvae.bundle import Bundle, Check, load_bundle, manifest_digest, publish_bundle
from rcmvae.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME, REQUIRED_FILES
from rcmvae.errors import BundleDamaged, BundleError, BundleFormatUnsupported, BundleNotFound
from tests.rcmvae.bundle_factory import FIRST, SECOND, small_contents, small_draft

BINARY_FILES = sorted(name for name in REQUIRED_FILES if name.endswith(("onnx", "safetensors")))
ALL_FILES = sorted(REQUIRED_FILES | {MANIFEST_NAME, MANIFEST_DIGEST_NAME})


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("pristine") / "models"
    publish_bundle(models, small_draft(), expected_parent=None)
    return models / FIRST


@contextmanager
def copy_of(pristine: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as parent:
        yield Path(shutil.copytree(pristine, Path(parent) / FIRST))


@pytest.fixture
def bundle_copy(pristine: Path) -> Iterator[Path]:
    with copy_of(pristine) as directory:
        yield directory


def refusal(directory: Path) -> BundleDamaged:
    with pytest.raises(BundleDamaged) as caught:
        load_bundle(directory)
    assert caught.value.check in set(Check)
    return caught.value


def write_manifest(directory: Path, content: bytes) -> None:
    """Forge a manifest whose digest file agrees with it."""
    (directory / MANIFEST_NAME).write_bytes(content)
    (directory / MANIFEST_DIGEST_NAME).write_bytes(manifest_digest(content))


def change_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    members = json.loads((directory / MANIFEST_NAME).read_bytes())
    change(members)
    write_manifest(directory, json.dumps(members).encode())


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest agree, as a malicious publisher would."""
    (directory / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    change_manifest(directory, lambda m: m["files"].update({name: entry}))


def test_what_was_drafted_is_what_is_loaded(pristine: Path) -> None:
    bundle = load_bundle(pristine)
    draft = small_draft()
    assert bundle.contents == small_contents()
    assert bundle.version == FIRST
    for field in ("created", "input", "labels", "num_channels", "latent_dim", "lineage"):
        assert getattr(bundle.manifest, field) == getattr(draft, field)
    assert bundle.manifest.configuration == draft.configuration
    assert bundle.manifest.metrics == draft.metrics


def test_stock_tools_agree_with_the_hashes(pristine: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST_DIGEST_NAME],
        cwd=pristine,
        check=True,
        capture_output=True,
    )
    entries = json.loads((pristine / MANIFEST_NAME).read_bytes())["files"]
    listing = "".join(f"{entry['sha256']}  {name}\n" for name, entry in entries.items())
    subprocess.run(
        ["sha256sum", "--check", "--strict"],
        cwd=pristine,
        input=listing.encode(),
        check=True,
        capture_output=True,
    )


def test_arrays_are_read_only_and_carry_metadata(pristine: Path) -> None:
    bundle = load_bundle(pristine)
    counts = bundle.arrays("counts.safetensors")["counts"]
    assert counts.dtype == np.float64
    assert counts.tolist() == [[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 1.0
    ids = json.loads(bundle.metadata("counts.safetensors")["ids"])
    assert ids == ["train-0", "train-1", "train-2"]
    assert bundle.metadata("golden.safetensors") == {}


def test_bundle_is_immutable_and_names_a_missing_file(pristine: Path) -> None:
    bundle = load_bundle(pristine)
    with pytest.raises(TypeError):
        bundle.contents["x.md"] = b""  # type: ignore[index]
    with pytest.raises(BundleDamaged, match=r"other\.onnx: check 'file_set'"):
        bundle.read("other.onnx")


def test_bundle_survives_the_loss_of_its_directory(pristine: Path) -> None:
    with copy_of(pristine) as directory:
        bundle: Bundle = load_bundle(directory)
    assert bundle.read("MODEL_CARD.md") == small_contents()["MODEL_CARD.md"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(pristine: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(ALL_FILES))
    with copy_of(pristine) as directory:
        content = bytearray((directory / name).read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        (directory / name).write_bytes(content)
        with pytest.raises((BundleDamaged, BundleFormatUnsupported)) as caught:
            load_bundle(directory)
    assert name in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cut_or_longer_file_is_refused(pristine: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(ALL_FILES))
    with copy_of(pristine) as directory:
        content = (directory / name).read_bytes()
        cut = content[: data.draw(st.integers(0, len(content) - 1))]
        longer = content + data.draw(st.binary(min_size=1, max_size=9))
        (directory / name).write_bytes(data.draw(st.sampled_from([cut, longer])))
        assert name in str(refusal(directory))


@settings(max_examples=40, deadline=None)
@given(st.text(string.printable + "é名\x7f", min_size=1, max_size=20))
def test_any_extra_file_is_refused(pristine: Path, name: str) -> None:
    if "/" in name or name in {*ALL_FILES, ".", ".."}:
        return
    with copy_of(pristine) as directory:
        (directory / name).write_bytes(b"")
        error = refusal(directory)
    assert error.check == Check.FILE_SET
    assert str(error).isprintable()
    if name.isascii() and name.isprintable():
        assert error.file == name


def test_extra_file_with_a_name_that_is_no_text_is_refused(bundle_copy: Path) -> None:
    (bundle_copy / os.fsdecode(b"\xff.md")).write_bytes(b"")
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.FILE_SET, r"\udcff.md")


def test_more_entries_than_any_bundle_has_are_refused(bundle_copy: Path) -> None:
    for i in range(300):
        (bundle_copy / f"{i}.md").touch()
    assert "at most 256 entries" in refusal(bundle_copy).detail


@pytest.mark.parametrize("name", ALL_FILES)
def test_removed_renamed_or_replaced_file_is_refused(bundle_copy: Path, name: str) -> None:
    path, elsewhere = bundle_copy / name, bundle_copy.parent / "elsewhere"
    path.rename(elsewhere)
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.FILE_SET, name)

    path.symlink_to(elsewhere)  # the very bytes, behind a link
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.REGULAR_FILE, name)

    path.unlink()
    path.mkdir()
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.REGULAR_FILE, name)

    path.rmdir()
    os.mkfifo(path)  # must not block either
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.REGULAR_FILE, name)

    path.unlink()
    elsewhere.rename(bundle_copy / f"x{name}")
    assert refusal(bundle_copy).file in {name, f"x{name}"}


def test_refusals_leak_no_descriptor(bundle_copy: Path) -> None:
    (bundle_copy / MANIFEST_NAME).unlink()
    (bundle_copy / MANIFEST_NAME).mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        refusal(bundle_copy)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_exchanged_files_are_refused(bundle_copy: Path) -> None:
    (bundle_copy / "tau.onnx").rename(bundle_copy / "spare")
    (bundle_copy / "decoder.onnx").rename(bundle_copy / "tau.onnx")
    (bundle_copy / "spare").rename(bundle_copy / "decoder.onnx")
    assert refusal(bundle_copy).check == Check.SIZE


def test_same_size_other_bytes_are_refused_by_hash(bundle_copy: Path) -> None:
    content = (bundle_copy / "MODEL_CARD.md").read_bytes()
    (bundle_copy / "MODEL_CARD.md").write_bytes(content[::-1])
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.SHA256, "MODEL_CARD.md")
    assert hashlib.sha256(content).hexdigest() in error.detail


def test_directory_of_another_name_is_refused(bundle_copy: Path) -> None:
    renamed = bundle_copy.rename(bundle_copy.with_name(SECOND))
    error = refusal(renamed)
    assert error.check == Check.VERSION
    assert FIRST in error.detail
    assert SECOND in error.detail


def test_directory_that_is_none_is_refused(bundle_copy: Path) -> None:
    link = bundle_copy.parent / "linked" / FIRST
    link.parent.mkdir()
    link.symlink_to(bundle_copy, target_is_directory=True)
    assert refusal(link).check == Check.DIRECTORY
    file = bundle_copy.with_name("a-file")
    file.touch()
    assert refusal(file).check == Check.DIRECTORY


@pytest.mark.parametrize("name", [SECOND, "..", ".staging-x", "CURRENT", "current", "a\n", "é"])
def test_no_such_version(bundle_copy: Path, name: str) -> None:
    with pytest.raises(BundleNotFound):
        load_bundle(bundle_copy.parent / name)


@pytest.mark.parametrize("version", [0, 2, 10**30])
def test_other_format_versions_are_unsupported(bundle_copy: Path, version: int) -> None:
    # Fields and digest of another format may be anything: the version is asked first.
    (bundle_copy / MANIFEST_NAME).write_text(json.dumps({"format_version": version}))
    with pytest.raises(BundleFormatUnsupported, match=f"expected format_version 1, got {version}"):
        load_bundle(bundle_copy)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "Expecting value"),
        (b"[]", "expected an object, got list"),
        (b"{}", "format_version: expected an integer, got None"),
        (b'{"format_version": true}', "got True"),
        (b'{"format_version": 1.0}', "got 1.0"),
        (b'{"format_version": "1"}', "got '1'"),
        (b'{"format_version": 1, "format_version": 1}', "given twice"),
        (b'{"format_version": 1}', "bundle_version: Field required"),
        (b'{"format_version": 1, "metrics": {"accuracy": NaN}}', "NaN is not a JSON number"),
        (b'{"format_version": "\xff"}', "invalid start byte"),
        ('{"format_version": 1}'.encode("utf-16"), "invalid start byte"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (4 * 2**20) + b"{}", "expected at most 4194304 bytes"),
    ],
)
def test_malformed_manifest_is_refused(bundle_copy: Path, content: bytes, detail: str) -> None:
    write_manifest(bundle_copy, content)
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (Check.MANIFEST, MANIFEST_NAME)
    assert detail in error.detail


@pytest.mark.parametrize(
    ("change", "check", "named"),
    [
        (lambda m: m.update(surprise=1), Check.MANIFEST, "surprise"),
        (lambda m: m.update(labels=["a", "a"]), Check.MANIFEST, "distinct"),
        (lambda m: m.update(num_channels="3"), Check.MANIFEST, "num_channels"),
        (lambda m: m.update(created="2026-11-23T16:50:00"), Check.MANIFEST, "created"),
        (lambda m: m.update(bundle_version="../x"), Check.MANIFEST, "bundle_version"),
        (lambda m: m.update(bundle_version=SECOND), Check.VERSION, SECOND),
        (lambda m: m["files"].pop("tau.onnx"), Check.FILE_SET, "tau.onnx"),
        (lambda m: _add(m, "ghost.md"), Check.FILE_SET, "ghost.md"),
        (lambda m: _add(m, MANIFEST_NAME), Check.FILE_SET, MANIFEST_NAME),
        (lambda m: _add(m, "../outside.md"), Check.MANIFEST, "outside"),
        (lambda m: _add(m, "/etc/hostname"), Check.MANIFEST, "hostname"),
        (lambda m: _add(m, "a\\b.md"), Check.MANIFEST, "a"),
        (lambda m: m["files"]["tau.onnx"].update(size=2**31), Check.TOTAL_SIZE, "2147483648"),
        (lambda m: m["files"]["tau.onnx"].update(size=-1), Check.MANIFEST, "tau.onnx"),
        (lambda m: m["files"]["tau.onnx"].update(sha256="0" * 64), Check.SHA256, "tau.onnx"),
    ],
)
def test_manifest_that_lies_is_refused(
    bundle_copy: Path, change: Callable[[dict[str, Any]], object], check: Check, named: str
) -> None:
    change_manifest(bundle_copy, change)
    error = refusal(bundle_copy)
    assert error.check == check
    assert named in str(error)


def _add(members: dict[str, Any], name: str) -> None:
    members["files"][name] = {"sha256": "0" * 64, "size": 0}


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format_version", "files", "labels", "x"]), inner, max_size=4
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_manifest_raises_anything_but_a_bundle_error(pristine: Path, content: bytes) -> None:
    with copy_of(pristine) as directory:
        write_manifest(directory, content)
        with pytest.raises(BundleError, match=r"manifest\.json"):
            load_bundle(directory)


@pytest.mark.parametrize(
    ("name", "content", "check"),
    [
        ("weights.safetensors", b"", Check.SAFETENSORS),
        ("weights.safetensors", b"\xff" * 16, Check.SAFETENSORS),
        ("counts.safetensors", small_contents()["counts.safetensors"][:-1], Check.SAFETENSORS),
        ("calibration.json", b'{"a": 1, "a": 2}', Check.JSON),
        ("calibration.json", b'{"a": Infinity}', Check.JSON),
        ("calibration.json", b'{"a": -1e999}', Check.JSON),
        ("calibration.json", b"\x80", Check.JSON),
        ("MODEL_CARD.md", b"\x80", Check.TEXT),
        ("tau.onnx", b"", Check.ONNX),
        ("tau.onnx", b"\xff" * 16, Check.ONNX),
        ("payload.pkl", b"\x80\x04N.", Check.FILE_TYPE),
        ("no_suffix", b"", Check.FILE_TYPE),
    ],
)
def test_unreadable_content_is_refused_though_its_hash_agrees(
    bundle_copy: Path, name: str, content: bytes, check: Check
) -> None:
    replace_file(bundle_copy, name, content)
    error = refusal(bundle_copy)
    assert (error.check, error.file) == (check, name)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(BINARY_FILES), content=st.binary(max_size=80))
def test_no_binary_content_raises_anything_but_a_bundle_error(
    pristine: Path, name: str, content: bytes
) -> None:
    with copy_of(pristine) as directory:
        replace_file(directory, name, content)
        error = refusal(directory)
    assert error.file == name
