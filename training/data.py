"""Data sources, and the split of one into unlabelled, labelled, held-out and test inputs."""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import DataError, InvalidInput
from rcmvae.label_name import label_name
from training.config import AUTO, DataConfig

NO_LABEL = -1
_LABEL_ID = "train-"
USUAL_HELD_OUT = 300
USUAL_TEST = 597
MIN_DENSITY = 5
"""One more than the scores that the fused density is fitted to."""

_IDX_UINT8 = 0x08
_IDX_STEMS = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs with their true labels.

    Attributes:
        x: float32 in [0, 1], (n, *shape); images are (1, H, W).
        y: index into the source's labels, int64 (n,), NO_LABEL where there is none.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def take(self, index: NDArray[np.int64]) -> "Examples":
        """The examples at ``index``."""
        return Examples(self.x[index], self.y[index])


@dataclass(frozen=True, slots=True)
class Source:
    """A data source as it came.

    Attributes:
        labels: names of the classes.
        train: all examples that may be trained on.
        test: the source's own test set, or None.
        sha256: digest of the inputs and labels, for the lineage.
    """

    labels: tuple[str, ...]
    train: Examples
    test: Examples | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Split:
    """Who may see what. Indices refer to ``Source.train``, in ascending order.

    Attributes:
        unlabelled: inputs of the fit, without labels; the labelled ones are among them, int64.
        labelled: examples whose label the fit and the label map may see, int64.
        density: held-out inputs on which the fused density is fitted, int64.
        calibration: held-out inputs that calibrate, seen by no fit, int64.
        test: indices into ``Source.train``, or empty where the source brings its own test set.
    """

    unlabelled: NDArray[np.int64]
    labelled: NDArray[np.int64]
    density: NDArray[np.int64]
    calibration: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A source after its split, as the rest of training uses it.

    Attributes:
        labels: names of the classes that carry labels, in the source's order.
        held_labels: names of all classes of the source.
        split: the indices behind the parts.
        unlabelled: inputs of the fit, (n, *shape) float32.
        labelled: labelled examples; y indexes ``labels``.
        density: held-out inputs for the fused density; y is NO_LABEL for unlabelled classes.
        calibration: held-out examples that calibrate; y likewise.
        test: test examples; y indexes ``held_labels``.
        sha256: digest of the source.
    """

    labels: tuple[str, ...]
    held_labels: tuple[str, ...]
    split: Split
    unlabelled: NDArray[np.float32]
    labelled: Examples
    density: Examples
    calibration: Examples
    test: Examples
    sha256: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.unlabelled.shape[1:])


def load_source(name: str) -> Source:
    """Read ``digits``, a folder of IDX files (gzipped or not), or an NPZ file.

    Raises:
        DataError: the source is missing or malformed; says what was expected.
    """
    if name == "digits":
        return _load_digits()
    path = Path(name)
    if path.is_dir():
        return _load_idx_folder(path)
    if path.suffix == ".npz" and path.is_file():
        return _load_npz(path)
    raise DataError(
        f"data source: expected 'digits', a folder of IDX files or an NPZ, got {name!r}"
    )


def _load_digits() -> Source:
    # A second of imports that only this source needs.
    from sklearn.datasets import load_digits  # noqa: PLC0415

    bunch = load_digits()
    x = (bunch.images.astype(np.float32) / 16.0)[:, None]
    train = Examples(x, bunch.target.astype(np.int64))
    return _source(tuple(str(name) for name in bunch.target_names), train, None)


def _load_idx_folder(folder: Path) -> Source:
    train, test = (_load_idx_pair(folder, images, labels) for images, labels in _IDX_STEMS)
    _require_same_shape(folder, train, test)
    count = int(max(train.y.max(), test.y.max())) + 1
    return _source(tuple(str(i) for i in range(count)), train, test)


def _load_idx_pair(folder: Path, images: str, labels: str) -> Examples:
    x = read_idx(_find_idx(folder, images))
    y = read_idx(_find_idx(folder, labels))
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or not len(x):
        raise DataError(
            f"{folder.name}: expected n images and n labels, got shapes {x.shape} and {y.shape}"
        )
    return Examples((x.astype(np.float32) / 255.0)[:, None], y.astype(np.int64))


def _require_same_shape(path: Path, train: Examples, test: Examples) -> None:
    expected, actual = train.x.shape[1:], test.x.shape[1:]
    if actual != expected:
        raise DataError(f"{path.name}: expected test inputs of shape {expected}, got {actual}")


def _find_idx(folder: Path, stem: str) -> Path:
    for candidate in (folder / stem, folder / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder.name}: expected a file {stem} or {stem}.gz, found neither")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzipped or not.

    The format: two zero bytes, the element type, the number of axes, each axis as a big-endian
    32-bit integer, then the values (LeCun's page on MNIST).

    Raises:
        DataError: the file is not IDX, of another element type, or too short or long.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: expected a readable file, got {error}") from None
    if len(raw) < 4 or raw[:3] != bytes((0, 0, _IDX_UINT8)):
        raise DataError(f"{path.name}: expected an IDX header of unsigned bytes, got {raw[:4]!r}")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path.name}: expected {raw[3]} axes in the header, got {len(raw)} bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw[4:start], dtype=">u4"))
    # Not numpy's product, which overflows in silence.
    expected = start + math.prod(shape)
    if len(raw) != expected:
        raise DataError(f"{path.name}: expected {expected} bytes for {shape}, got {len(raw)}")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _load_npz(path: Path) -> Source:
    """Arrays ``x`` (n, ...) and ``y`` (n,), and optionally ``x_test`` and ``y_test``."""
    arrays = _read_npz(path)
    if not {"x", "y"} <= arrays.keys():
        raise DataError(f"{path.name}: expected arrays x and y, got {sorted(arrays)}")
    y = _label_names(path, arrays["y"])
    names = np.unique(y)
    train = _npz_examples(path, arrays["x"], y, names)
    test = None
    if "x_test" in arrays and "y_test" in arrays:
        y_test = _label_names(path, arrays["y_test"])
        test = _npz_examples(path, arrays["x_test"], y_test, names)
        _require_same_shape(path, train, test)
    return _source(tuple(names.tolist()), train, test)


def _read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        # Opened here, because numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # A file of one array opens as that array, which is no context.
    except (OSError, EOFError, ValueError, TypeError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name}: expected an NPZ without objects, got {error}") from None


def _label_names(path: Path, y: NDArray[np.generic]) -> NDArray[np.str_]:
    """Labels in the one form in which requests name them too."""
    if y.dtype.kind not in "biufU" or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise DataError(f"{path.name}: expected y as finite numbers or text, got {y.dtype}")
    distinct, place = np.unique(y.astype(str), return_inverse=True)
    try:
        named = [label_name("y", text) for text in distinct.tolist()]
    except InvalidInput as error:
        raise DataError(f"{path.name}: {error}") from None
    return np.array(named)[place]


def _npz_examples(
    path: Path, x: NDArray[np.generic], y: NDArray[np.str_], names: NDArray[np.str_]
) -> Examples:
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or not x.size:
        raise DataError(f"{path.name}: expected n inputs and labels, got {x.shape} and {y.shape}")
    if x.dtype.kind not in "buif":
        raise DataError(f"{path.name}: expected x as real numbers, got {x.dtype}")
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    values = x.astype(np.float32) / np.float32(scale)
    if not np.isfinite(values).all() or values.min() < 0.0 or values.max() > 1.0:
        raise DataError(f"{path.name}: expected x as uint8 or as numbers in [0, 1]")
    images = values[:, None] if values.ndim == 3 else values
    _require_channels_first(path, images)
    index = np.searchsorted(names, y)
    if not (names[np.minimum(index, len(names) - 1)] == y).all():
        raise DataError(f"{path.name}: y_test holds a label that y does not")
    return Examples(images, index.astype(np.int64))


def _require_channels_first(path: Path, images: NDArray[np.float32]) -> None:
    """Refuse (n, H, W, C): the network would take rows of pixels for colours."""
    if images.ndim == 4 and images.shape[3] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
        expected = "images with channels first, (n, C, H, W)"
        raise DataError(f"{path.name}: expected {expected}, got shape {images.shape}")


def _source(labels: tuple[str, ...], train: Examples, test: Examples | None) -> Source:
    digest = hashlib.sha256()
    for part in (train, test):
        if part is not None:
            digest.update(np.ascontiguousarray(part.x).tobytes())
            digest.update(part.y.tobytes())
    return Source(labels, train, test, digest.hexdigest())


def split_source(source: Source, config: DataConfig, seed: int) -> Split:
    """Split by one permutation that depends on the seed and on nothing else.

    Test and held-out inputs are taken first and in this order, so that they stay the same when
    the number of labels changes.

    Raises:
        DataError: the source has too few inputs, or too few of a class, for the split asked for.
    """
    config = sized(config, source)
    order = np.random.default_rng(seed).permutation(len(source.train))
    tested = 0 if source.test is not None else config.test
    density = tested + round(config.held_out * config.density_share)
    reserved = tested + config.held_out
    _require_parts(source, tested, density - tested, reserved - density)
    if reserved >= len(order):
        raise DataError(f"split: expected more than {reserved} inputs, got {len(order)}")
    fit = order[reserved:]
    fit = fit[: config.limit] if config.limit else fit
    return Split(
        unlabelled=np.sort(fit),
        labelled=np.sort(_draw_labelled(source, fit, config)),
        density=np.sort(order[tested:density]),
        calibration=np.sort(order[density:reserved]),
        test=np.sort(order[:tested]),
    )


def sized(config: DataConfig, source: Source) -> DataConfig:
    """The configuration with the sizes that are ``auto`` chosen by the number of inputs."""
    count = len(source.train)
    held_out = min(USUAL_HELD_OUT, count // 5) if config.held_out == AUTO else config.held_out
    usual_test = min(USUAL_TEST, count // 3) if source.test is None else 0
    test = usual_test if config.test == AUTO else config.test
    return replace(config, held_out=held_out, test=test)


def _require_parts(source: Source, tested: int, density: int, calibration: int) -> None:
    if source.test is None and not tested:
        raise DataError("data.test: expected at least 1, as the source brings no test set, got 0")
    if density < MIN_DENSITY or not calibration:
        raise DataError(
            f"data.held_out and data.density_share: expected at least {MIN_DENSITY} inputs for the "
            f"density and 1 to calibrate, got {density} and {calibration}"
        )


def _draw_labelled(source: Source, fit: NDArray[np.int64], config: DataConfig) -> NDArray[np.int64]:
    """The first inputs of every labelled class in the order of ``fit``, evenly many of each."""
    classes = labelled_classes(source, config)
    share, extra = divmod(config.labels, len(classes))
    drawn: list[NDArray[np.int64]] = []
    for position, label in enumerate(classes):
        wanted = share + (position < extra)
        found = fit[source.train.y[fit] == source.labels.index(label)][:wanted]
        if len(found) < wanted:
            raise DataError(f"class {label!r}: expected {wanted} inputs to label, got {len(found)}")
        drawn.append(found)
    return np.concatenate(drawn)


def labelled_classes(source: Source, config: DataConfig) -> tuple[str, ...]:
    """Names of the classes that get labels, in the source's order.

    Raises:
        DataError: a class named as unlabelled is not in the source, or no class is left.
    """
    strangers = set(config.unlabelled_classes) - set(source.labels)
    if strangers:
        raise DataError(f"unlabelled classes: expected some of {source.labels}, got {strangers}")
    kept = tuple(name for name in source.labels if name not in config.unlabelled_classes)
    if not kept or config.labels < len(kept):
        raise DataError(f"labels: expected at least one for each of {kept}, got {config.labels}")
    return kept


def label_ids(dataset: Dataset) -> tuple[str, ...]:
    """Ids of the labelled examples of the split, for the evidence: `train-<index>`."""
    return tuple(f"{_LABEL_ID}{index}" for index in dataset.split.labelled)


def is_label_id(name: str) -> bool:
    """Whether an id of evidence belongs to a labelled example of a split, not to feedback."""
    return name.startswith(_LABEL_ID)


def load_dataset(config: DataConfig, seed: int) -> Dataset:
    """Load the source and split it.

    Raises:
        DataError: see ``load_source`` and ``split_source``.
    """
    source = load_source(config.source)
    split = split_source(source, config, seed)
    kept = labelled_classes(source, config)
    # Classes without labels become NO_LABEL everywhere but in the test set.
    known = np.array([kept.index(n) if n in kept else NO_LABEL for n in source.labels])
    hidden = Examples(source.train.x, known[source.train.y])
    return Dataset(
        labels=kept,
        held_labels=source.labels,
        split=split,
        unlabelled=source.train.x[split.unlabelled],
        labelled=hidden.take(split.labelled),
        density=hidden.take(split.density),
        calibration=hidden.take(split.calibration),
        test=source.test if source.test is not None else source.train.take(split.test),
        sha256=source.sha256,
    )
