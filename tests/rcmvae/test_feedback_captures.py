"""Looking up many captures at once."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from rcmvae.feedback import Capture, FeedbackStore
from tests.rcmvae.feedback_fixtures import pixels, url_of


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
