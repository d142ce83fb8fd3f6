"""Over HTTP and into the store goes the same post."""

import json

import numpy as np

from benchmarks.feedback import MARK, body_of, submission_of


def test_the_body_says_what_the_submission_says() -> None:
    x = np.random.default_rng(0).random((3, 1, 2, 2), dtype=np.float32)
    body = json.loads(body_of(x, "a").replace(MARK.encode(), b"000000007"))
    submission = submission_of(x, "a", 7)
    assert [item["label"] for item in body["items"]] == ["a"] * 3
    for item, new in zip(body["items"], submission.items, strict=True):
        np.testing.assert_array_equal(np.array(item["input"], np.float32), new.input.ravel())
    other = submission_of(x, "a", 8)
    assert not any(np.array_equal(a.input, b.input) for a in other.items for b in submission.items)
    assert other.idempotency_key != submission.idempotency_key
