"""What the picture takes from the store: captures by their place, labels that stand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rcmvae.feedback import Capture, FeedbackStore, NewFeedback, PlacedCapture, Span


def captures(count: int, start: int = 0) -> list[Capture]:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    return [
        Capture(f"p-{i}", np.full(2, i, dtype=np.float32), "v1", now)
        for i in range(start, start + count)
    ]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 12), st.integers(1, 7))
def test_every_capture_that_is_kept_is_found_once_and_in_order(
    batches: list[int], keep: int, step: int
) -> None:
    with TemporaryDirectory() as folder, FeedbackStore.open(f"sqlite:///{folder}/s.db") as store:
        count = 0
        for size in batches:
            store.save_captures(captures(size, count))
            store.trim_captures(keep)
            count += size
        span = store.capture_span()
        found: list[PlacedCapture] = []
        assert (span.last < span.first) == (count == 0)
        place = span.first - 1
        while part := store.captures_after(place, step):
            assert len(part) <= step
            place = part[-1].place
            found += part
    kept = [f"p-{i}" for i in range(max(0, count - keep), count)]
    assert [each.capture.prediction_id for each in found] == kept
    if found:
        assert (found[0].place, found[-1].place) == (span.first, span.last)


def test_labels_come_newest_first_without_their_inputs(tmp_path: Path) -> None:
    with FeedbackStore.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        assert store.capture_span() == Span(1, 0)
        assert store.given_labels(5) == ()
        x = [np.full(2, i, dtype=np.float32) for i in range(3)]
        records = store.add([NewFeedback(f"label {i}", x[i]) for i in range(3)])
        given_labels = store.given_labels(2)
        assert [each.label for each in given_labels] == ["label 2", "label 1"]
        assert given_labels[0].input_sha256 == records[2].input_sha256
        names = [records[1].feedback_id, "nobody", records[1].feedback_id]
        inputs = store.labelled_inputs(names)
    assert list(inputs) == [records[1].feedback_id]
    np.testing.assert_array_equal(inputs[records[1].feedback_id], x[1])


def test_a_rejected_label_does_not_stand(tmp_path: Path) -> None:
    with FeedbackStore.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.add([NewFeedback("wrong", np.zeros(2, dtype=np.float32))])
        claim = store.claim(worker="w", limit=1, lease=timedelta(minutes=1))
        assert claim is not None
        store.reject(claim.token, [claim.records[0].feedback_id], "no such thing")
        assert store.given_labels(5) == ()
