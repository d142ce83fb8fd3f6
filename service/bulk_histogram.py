"""A histogram that takes many observations at the price of a few."""

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """As `Histogram`, for values that come in batches.

    A value costs a search and two writes to a shared file; a batch costs as many writes as it has
    distinct buckets, and one for the sum.
    """

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        """Upper bounds of the buckets, ascending, the last one infinite."""
        return np.asarray(self._upper_bounds, dtype=np.float64)

    def observe_all(self, values: ArrayLike) -> None:
        """Observe every value of an array; one that is not a number is left out.

        An infinite one counts in its bucket and not in the sum, which it would spoil for good.
        """
        observed = np.asarray(values, dtype=np.float64).ravel()
        with np.errstate(invalid="ignore"):
            total = float(observed.sum())
        if not math.isfinite(total):
            observed = observed[~np.isnan(observed)]
            total = float(observed[np.isfinite(observed)].sum())
        if observed.size == 0:
            return
        counts = np.bincount(np.searchsorted(self._bounds, observed, side="left"))
        for bucket, count in enumerate(counts.tolist()):
            if count:
                self._buckets[bucket].inc(count)
        self._sum.inc(total)
