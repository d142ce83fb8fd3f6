"""The data sets that scikit-learn brings in its package: nothing is downloaded."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.data.examples import Examples
from training.data.source import Source, make_source

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def load_digits() -> Source:
    """1,797 images of 8 x 8 in [0, 1]."""
    # A second of imports that only these sources need.
    from sklearn.datasets import load_digits as load  # noqa: PLC0415

    bunch = load()
    x = (bunch.images.astype(np.float32) / 16.0)[:, None]
    train = Examples(x, bunch.target.astype(np.int64))
    return make_source(tuple(str(name) for name in bunch.target_names), train)


def load_wine() -> Source:
    """178 wines of three growers, 13 measurements."""
    from sklearn.datasets import load_wine as load  # noqa: PLC0415

    return _table(load())


def load_breast_cancer() -> Source:
    """569 biopsies, benign or malignant, 30 measurements."""
    from sklearn.datasets import load_breast_cancer as load  # noqa: PLC0415

    return _table(load())


def load_iris() -> Source:
    """150 flowers of three species, 4 measurements."""
    from sklearn.datasets import load_iris as load  # noqa: PLC0415

    return _table(load())


def _table(bunch: "Bunch") -> Source:
    """Raw features and their names: the scaling is the network's."""
    train = Examples(bunch.data.astype(np.float32), bunch.target.astype(np.int64))
    labels = tuple(str(name) for name in bunch.target_names)
    return make_source(labels, train, features=tuple(str(name) for name in bunch.feature_names))


SHIPPED: Mapping[str, Callable[[], Source]] = {
    "digits": load_digits,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "iris": load_iris,
}
"""Images, and three tables, by the name that ``data.source`` takes."""
