"""Data sources, and the split."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rcmvae.errors import DataError
from training.config import DataConfig
from training.data import (
    NO_LABEL,
    Examples,
    Source,
    load_dataset,
    load_source,
    read_idx,
    split_source,
)

STEMS = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """An IDX file as LeCun's page describes it."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes()


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 5), dtype=np.uint8)


def write_idx_folder(folder: Path, *, train: int = 30, test: int = 6, classes: int = 3) -> Path:
    """A folder as MNIST comes, the training images gzipped."""
    for stem, count, seed in zip(STEMS, (train, test), (0, 1), strict=True):
        labels = (np.arange(count) % classes).astype(np.uint8)
        content = idx_bytes(images(count, seed))
        (folder / f"{stem}.gz").write_bytes(gzip.compress(content))
        name = stem.replace("images-idx3", "labels-idx1")
        (folder / name).write_bytes(idx_bytes(labels))
    return folder


def test_idx_folder_gives_images_in_the_unit_range(tmp_path: Path) -> None:
    source = load_source(str(write_idx_folder(tmp_path)))
    assert source.labels == ("0", "1", "2")
    assert source.train.x.dtype == np.float32
    np.testing.assert_array_equal(source.train.x[:, 0] * 255, images(30).astype(np.float32))
    np.testing.assert_array_equal(source.train.y, np.arange(30) % 3)
    assert source.test is not None
    np.testing.assert_array_equal(source.test.x[:, 0] * 255, images(6, 1).astype(np.float32))


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_idx_round_trip(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.getbasetemp() / "round-trip-ubyte"
    path.write_bytes(idx_bytes(values))
    np.testing.assert_array_equal(read_idx(path), values)


WHOLE = idx_bytes(images(3))
MALFORMED = {
    "empty": b"",
    "too short for a header": b"\0\0\x08",
    "another magic": b"\x01\0\x08\x01" + WHOLE[4:],
    "signed bytes": b"\0\0\x09" + WHOLE[3:],
    "floats": b"\0\0\x0d" + WHOLE[3:],
    "half an axis": WHOLE[:10],
    "an axis missing": WHOLE[:12],
    "values missing": WHOLE[:-1],
    "values left over": WHOLE + b"\0",
    "more axes than bytes": b"\0\0\x08\xff" + WHOLE[4:],
    # 2^31 * 2^31 * 4 is 2^64, which is zero in 64 bits.
    "a size that overflows": b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 4),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_idx_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match="some-ubyte: expected"):
        read_idx(path)


def _flip_in_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes((content[middle] ^ 0xFF,)) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:-9], lambda c: b"plain" + c, _flip_in_the_middle, lambda c: c[:10] + b"\xff" * 9],
    ids=["cut", "not gzip", "flipped", "no deflate stream"],
)
def test_damaged_gzip_is_refused_by_name(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "some-ubyte.gz"
    path.write_bytes(damage(gzip.compress(WHOLE)))
    with pytest.raises(DataError, match=r"some-ubyte\.gz: expected"):
        read_idx(path)


def test_idx_folder_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    write_idx_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_source(str(tmp_path))


@pytest.mark.parametrize(
    "labels",
    [np.zeros(29, dtype=np.uint8), np.zeros((30, 1), dtype=np.uint8)],
    ids=["too few", "two axes"],
)
def test_idx_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: NDArray[np.uint8]) -> None:
    write_idx_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match="expected n images and n labels"):
        load_source(str(tmp_path))


def test_idx_test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    write_idx_folder(tmp_path)
    content = idx_bytes(np.zeros((6, 5, 5), dtype=np.uint8))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"\(1, 5, 5\)"):
        load_source(str(tmp_path))


def npz(path: Path, **arrays: NDArray[np.generic] | NDArray[np.object_]) -> str:
    np.savez(path / "data.npz", **arrays)  # type: ignore[arg-type]
    return str(path / "data.npz")


PIXELS = np.random.default_rng(1).random((6, 5, 5), dtype=np.float32)
X = np.random.default_rng(0).random((6, 4), dtype=np.float32)
Y = np.array(["b", "a", "b", "c", "a", "c"])


def test_npz_of_vectors_with_named_labels(tmp_path: Path) -> None:
    source = load_source(npz(tmp_path, x=X, y=Y, x_test=X[:2], y_test=Y[:2]))
    assert source.labels == ("a", "b", "c")
    np.testing.assert_array_equal(source.train.x, X)
    np.testing.assert_array_equal(source.train.y, [1, 0, 1, 2, 0, 2])
    assert source.test is not None
    np.testing.assert_array_equal(source.test.y, [1, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_npz_of_vectors_are_raw_whatever_their_type(tmp_path: Path, dtype: type) -> None:
    x: NDArray[np.generic] = (np.random.default_rng(2).random((6, 4)) * 250).astype(dtype)
    names = np.array(["w", "x", "y", "z"])
    source = load_source(npz(tmp_path, x=x, y=Y, features=names))
    np.testing.assert_array_equal(source.train.x, x.astype(np.float32))
    assert source.features == ("w", "x", "y", "z")


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("wine", (178, 13), 3), ("breast_cancer", (569, 30), 2), ("iris", (150, 4), 3)],
)
def test_tables_that_scikit_learn_ships(name: str, shape: tuple[int, int], classes: int) -> None:
    source = load_source(name)
    assert source.train.x.shape == shape
    assert len(source.labels) == classes
    assert source.features is not None
    assert len(source.features) == shape[1]
    # Fisher's petal lengths, the growers' proline, Wolberg's areas: nothing is scaled here.
    assert source.train.x.max() > 5.0


def test_a_small_set_keeps_most_for_the_fit() -> None:
    dataset = load_dataset(DataConfig(source="wine", labels=9), seed=0)
    held_out = len(dataset.density) + len(dataset.calibration)
    assert (held_out, len(dataset.test), len(dataset.unlabelled)) == (35, 59, 84)


def test_more_labels_than_inputs_are_refused_with_the_numbers() -> None:
    with pytest.raises(DataError, match=r"data\.labels: 100 take 3\d of class .*, got \d+ of 84"):
        load_dataset(DataConfig(source="wine"), seed=0)


def test_npz_of_bytes_is_scaled_and_gets_a_channel_axis(tmp_path: Path) -> None:
    pixels = images(6)
    source = load_source(npz(tmp_path, x=pixels, y=np.arange(6)))
    assert source.train.x.shape == (6, 1, 4, 5)
    np.testing.assert_allclose(source.train.x[:, 0], pixels / 255, atol=1e-7)
    assert source.test is None


class Bomb:
    """Says so when somebody unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


BAD_ARRAYS: dict[str, dict[str, NDArray[np.generic] | NDArray[np.object_]]] = {
    "no labels": {"x": X},
    "too few labels": {"x": X, "y": Y[:5]},
    "nothing": {"x": X[:0], "y": Y[:0]},
    "no axis of values": {"x": X[:, 0], "y": Y},
    "a single number": {"x": np.float32(1.0), "y": np.int64(1)},  # type: ignore[dict-item]
    "too bright": {"x": PIXELS * 2, "y": Y},
    "negative pixels": {"x": -PIXELS, "y": Y},
    "not a number": {"x": np.full_like(X, np.nan), "y": Y},
    "one value without bounds": {"x": np.where(X[2, 1] == X, np.inf, X), "y": Y},
    "huge": {"x": np.where(X[2, 1] == X, 1e31, X), "y": Y},
    "huge and negative": {"x": np.where(X[2, 1] == X, -1e300, X.astype(np.float64)), "y": Y},
    "a name too few": {"x": X, "y": Y, "features": np.array(["a", "b", "c"])},
    "a name twice": {"x": X, "y": Y, "features": np.array(["a", "b", "c", "a"])},
    "an empty name": {"x": X, "y": Y, "features": np.array(["a", "b", "c", ""])},
    "names of pixels": {"x": PIXELS, "y": Y, "features": np.array(["a"])},
    "text": {"x": np.full((6, 4), "zero"), "y": Y},
    "complex": {"x": X + 1j, "y": Y},
    "an unknown test label": {"x": X, "y": Y, "x_test": X[:1], "y_test": np.array(["z"])},
    "test inputs of another shape": {"x": X, "y": Y, "x_test": X[:1, :3], "y_test": Y[:1]},
    "labels of two axes": {"x": X, "y": Y[:, None]},
    "a pickled object": {"x": np.array([Bomb()] * 6, dtype=object), "y": Y},
    "pickled labels": {"x": X, "y": np.array([Bomb()] * 6, dtype=object)},
}


@pytest.mark.parametrize("arrays", BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_npz_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, arrays: dict[str, NDArray[np.generic] | NDArray[np.object_]]
) -> None:
    with pytest.raises(DataError, match=r"data\.npz: "):
        load_source(npz(tmp_path, **arrays))


def _npy_bytes(tmp_path: Path) -> bytes:
    np.save(tmp_path / "one.npy", X)
    return (tmp_path / "one.npy").read_bytes()


@pytest.mark.parametrize("kind", ["empty", "noise", "cut", "one array", "flipped"])
def test_a_file_that_is_no_npz_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = Path(npz(tmp_path, x=X, y=Y))
    whole = path.read_bytes()
    content = {
        "empty": b"",
        "noise": b"\x80noise" * 9,
        "cut": whole[:-30],
        "one array": _npy_bytes(tmp_path),
        "flipped": whole[:150] + bytes((whole[150] ^ 1,)) + whole[151:],
    }[kind]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.npz: "):
        load_source(str(path))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((6, 9, 9, 3)), Y, r"channels first, \(n, C, H, W\), got shape"),
        (np.zeros((6, 0)), Y, "expected n inputs and labels"),
        (X, np.array([0, 1, 2, 0, 1, np.nan]), "finite numbers"),
        (X, np.array(["a", "b ", "a", "a", "a", "a"]), "without spaces at the ends"),
        (X, np.array(["a", "x" * 65, "a", "a", "a", "a"]), "1 to 64 printable characters"),
    ],
)
def test_npz_that_would_be_misread_is_refused(
    tmp_path: Path, x: NDArray[np.float64], y: NDArray[np.generic], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_source(npz(tmp_path, x=x, y=y))


def test_labels_take_the_one_form_that_requests_name_them_in(tmp_path: Path) -> None:
    decomposed = np.array(["e\u0301", "b", "b", "b", "b", "b"])
    assert load_source(npz(tmp_path, x=X, y=decomposed)).labels == ("b", "\u00e9")


@pytest.mark.parametrize("name", ["", "digit", "/nowhere/at/all", "/nowhere.npz"])
def test_an_unknown_source_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="data source"):
        load_source(name or "./none")


@pytest.fixture(scope="module")
def source() -> Source:
    """200 inputs whose first value is their own index, of classes a to d in turn."""
    x = np.zeros((200, 3), dtype=np.float32)
    x[:, 0] = np.arange(200) / 200
    y = np.random.default_rng(5).permutation(np.arange(200) % 4)
    return Source(tuple("abcd"), Examples(x, y), None, "0" * 64)


CONFIG = DataConfig(labels=14, unlabelled_classes=("d",), held_out=40, test=30)


@given(
    seed=st.integers(0, 2**32 - 1),
    labels=st.integers(3, 18),
    limit=st.sampled_from([0, 90]),
    share=st.floats(0.15, 0.95),
)
@settings(max_examples=40, deadline=None)
def test_split_parts_are_disjoint_and_labels_even(
    source: Source, seed: int, labels: int, limit: int, share: float
) -> None:
    config = DataConfig(
        labels=labels,
        unlabelled_classes=("d",),
        held_out=40,
        test=30,
        limit=limit,
        density_share=share,
    )
    split = split_source(source, config, seed)
    parts = (split.unlabelled, split.density, split.calibration, split.test)
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == len(everything) == (limit or 130) + 70
    assert set(split.labelled) <= set(split.unlabelled)
    assert len(split.density) == round(40 * share)
    drawn = source.train.y[split.labelled]
    counts = np.bincount(drawn, minlength=4)
    assert counts[3] == 0
    assert counts.sum() == labels
    assert np.ptp(counts[:3]) <= 1


def test_split_depends_on_the_seed_alone(source: Source) -> None:
    first, again, other = (split_source(source, CONFIG, seed) for seed in (1, 1, 2))
    for name in first.__slots__:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.labelled, other.labelled)


def test_test_and_held_out_inputs_stay_when_the_labels_change(source: Source) -> None:
    few = split_source(source, CONFIG, 1)
    many = split_source(source, DataConfig(labels=30, held_out=40, test=30), 1)
    for name in ("test", "calibration", "density", "unlabelled"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name))


def test_a_source_with_its_own_test_set_spares_none(source: Source) -> None:
    own = Source(source.labels, source.train, source.train.take(np.arange(5)), source.sha256)
    assert len(split_source(own, CONFIG, 0).test) == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(held_out=150, test=50), "expected more than 200 inputs, got 200"),
        (DataConfig(held_out=40, test=0), "data.test: expected at least 1"),
        (DataConfig(held_out=40, test=30, density_share=0.1), "density and 1 to calibrate, got 4"),
        (DataConfig(held_out=5, test=30, density_share=0.99), "to calibrate, got 5 and 0"),
        (DataConfig(labels=3, held_out=40, test=30), "expected 0, or at least one for each"),
        (DataConfig(labels=190, held_out=40, test=30), "inputs to label, got"),
        (DataConfig(labels=9, limit=8, held_out=40, test=30), "inputs to label, got"),
        (DataConfig(unlabelled_classes=("e",), held_out=40, test=30), "got {'e'}"),
        (DataConfig(unlabelled_classes=tuple("abcd"), held_out=40, test=30), "at least one"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    source: Source, config: DataConfig, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split_source(source, config, 0)


def test_an_unlabelled_class_is_named_in_the_test_part_and_nowhere_else() -> None:
    dataset = load_dataset(DataConfig(labels=45, unlabelled_classes=("4",), held_out=200), seed=7)
    assert dataset.labels == tuple("012356789")
    assert dataset.held_labels == tuple("0123456789")
    digits = load_source("digits")
    assert (digits.train.y[dataset.split.unlabelled] == 4).any(), "fours are in the stream"
    for part, index in (
        (dataset.density, dataset.split.density),
        (dataset.calibration, dataset.split.calibration),
        (dataset.labelled, dataset.split.labelled),
    ):
        truth = digits.train.y[index]
        np.testing.assert_array_equal(part.y == NO_LABEL, truth == 4)
        named = np.array(dataset.labels)[part.y[truth != 4]].astype(int)
        np.testing.assert_array_equal(named, truth[truth != 4])
    assert not (dataset.labelled.y == NO_LABEL).any()
    np.testing.assert_array_equal(dataset.test.y, digits.train.y[dataset.split.test])


def test_digest_changes_with_inputs_and_with_labels(tmp_path: Path) -> None:
    digests = {
        load_source(npz(tmp_path, x=x, y=y)).sha256
        for x, y in ((X, Y), (X[::-1], Y), (X, Y[::-1]), (X, Y))
    }
    assert len(digests) == 3
