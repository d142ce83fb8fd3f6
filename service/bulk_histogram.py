"""A histogram that takes many observations at the price of a few."""

import numpy as np
from numpy.typing import ArrayLike
from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """As `Histogram`, for values that come in batches.

    A value costs a search and two writes to a shared file; a batch costs as many writes as it has
    distinct buckets, and one for the sum.
    """

    def observe_all(self, values: ArrayLike) -> None:
        """Observe every value of an array; one that is not a number is left out."""
        observed = np.asarray(values, dtype=np.float64).ravel()
        observed = observed[~np.isnan(observed)]
        if observed.size == 0:
            return
        buckets = np.searchsorted(self._upper_bounds, observed, side="left")
        counts = np.bincount(buckets)
        for bucket in counts.nonzero()[0].tolist():
            self._buckets[bucket].inc(float(counts[bucket]))
        self._sum.inc(float(observed.sum()))
