"""Looking up many captures at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from rcmvae.feedback import Capture, FeedbackStore, NewFeedback
from tests.rcmvae.feedback_fixtures import StillClock, pixels, url_of


def test_many_captures_are_found_together(tmp_path: Path) -> None:
    created = datetime(2026, 3, 4, tzinfo=UTC)
    with FeedbackStore.open(url_of(tmp_path / "f.db")) as store:
        store.save_captures([Capture(f"p{n}", pixels(n), "v1", created) for n in range(1200)])
        wanted = [f"p{n}" for n in range(0, 2400, 2)]
        found = store.captured_many(wanted * 2)
        assert store.captured_many([]) == {}
    assert sorted(found) == sorted(wanted[:600])
    for n in (0, 498, 1000, 1198):
        assert found[f"p{n}"].prediction_id == f"p{n}"
        assert found[f"p{n}"].created == created
        np.testing.assert_array_equal(found[f"p{n}"].input, pixels(n), strict=True)


def test_what_has_feedback_is_not_offered_again(tmp_path: Path) -> None:
    created = datetime(2026, 3, 4, tzinfo=UTC)
    with FeedbackStore.open(url_of(tmp_path / "f.db")) as store:
        # p6 and p7 show the same as p1 and p2.
        inputs = [pixels(n) for n in (0, 1, 2, 3, 4, 5, 1, 2)]
        store.save_captures([Capture(f"p{n}", x, "v1", created) for n, x in enumerate(inputs)])
        queued, by_input, refused = store.add(
            [
                NewFeedback("a", inputs[0], prediction_id="p0"),
                NewFeedback("b", inputs[3]),
                NewFeedback("c", inputs[4], prediction_id="p4"),
            ]
        )
        claim = store.claim(worker="w", limit=3, lease=timedelta(minutes=1))
        assert claim is not None
        store.reject(claim.token, [refused.feedback_id], "no")
        found = store.unlabelled(100)
        assert [capture.prediction_id for capture in found.captures] == ["p7", "p6", "p5"]
        np.testing.assert_array_equal(found.captures[0].input, inputs[2])
        kept = [record.feedback_id for record in found.feedback]
        assert kept == [by_input.feedback_id, queued.feedback_id]
        fewer = store.unlabelled(1)
        assert [capture.prediction_id for capture in fewer.captures] == ["p7"]
        assert [record.feedback_id for record in fewer.feedback] == [by_input.feedback_id]


def test_a_clock_that_was_ahead_keeps_nothing_that_is_too_old(tmp_path: Path) -> None:
    clock = StillClock()
    days = {"from a year ahead": 365, "old": -3, "young": -1, "a little ahead": 0.01}
    with FeedbackStore.open(url_of(tmp_path / "f.db"), clock=clock) as store:
        store.save_captures(
            [
                Capture(name, pixels(n), "v1", clock.now + timedelta(days=ahead))
                for n, (name, ahead) in enumerate(days.items())
            ]
        )
        assert store.forget_captures(clock.now - timedelta(days=2)) == 2
        assert store.captured_many(days).keys() == {"young", "a little ahead"}
