"""Which source a name means."""

from pathlib import Path

from rcmvae.errors import DataError
from training.data.idx import load_idx_folder
from training.data.npz import load_npz
from training.data.shipped import SHIPPED
from training.data.source import Source


def load_source(name: str) -> Source:
    """Read a set of scikit-learn's, a folder of IDX files (gzipped or not), or an NPZ file.

    Raises:
        DataError: the source is missing or malformed; says what was expected.
    """
    if name in SHIPPED:
        return SHIPPED[name]()
    path = Path(name)
    if path.is_dir():
        return load_idx_folder(path)
    if path.suffix == ".npz" and path.is_file():
        return load_npz(path)
    names = ", ".join(repr(shipped) for shipped in SHIPPED)
    raise DataError(
        f"data source: expected one of {names}, a folder of IDX files or an NPZ, got {name!r}"
    )
