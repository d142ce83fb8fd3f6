"""A batch of observations counts as its observations one by one."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from service.bulk_histogram import BulkHistogram

BOUNDS = (0.1, 0.5, 1.0, 4.0)


@given(
    st.lists(
        st.sampled_from([*BOUNDS, 0.0, -1.0, 0.3, 5.0, math.inf, -math.inf]) | st.floats(-2, 6)
    )
)
def test_a_batch_counts_as_its_values_one_by_one(values: list[float]) -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    bulk = BulkHistogram("h", "h", buckets=BOUNDS, registry=registries[0])
    single = Histogram("h", "h", buckets=BOUNDS, registry=registries[1])
    bulk.observe_all(values)
    for value in values:
        single.observe(value)
    finite = sum(value for value in values if math.isfinite(value))
    for bound in (*map(str, BOUNDS), "+Inf"):
        samples = [r.get_sample_value("h_bucket", {"le": bound}) for r in registries]
        assert samples[0] == samples[1]
    assert math.isclose(registries[0].get_sample_value("h_sum") or 0.0, finite, abs_tol=1e-9)


def test_what_is_no_number_is_left_out() -> None:
    registry = CollectorRegistry()
    BulkHistogram("h", "h", buckets=BOUNDS, registry=registry).observe_all([math.nan, 0.5])
    assert registry.get_sample_value("h_count") == 1
    assert registry.get_sample_value("h_sum") == 0.5
