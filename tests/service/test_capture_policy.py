"""Which inputs are kept, and how many."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rcmvae.decision import Decision
from service.capture_policy import CaptureChoice, CapturePolicy, CaptureRate
from service.settings import Settings
from tests.service.app_client import running_app
from tests.service.small_bundle import known_inputs, publish_small

KNOWN, UNKNOWN, STRANGE = Decision.KNOWN, Decision.UNKNOWN_CLASS, Decision.OUT_OF_DISTRIBUTION
DECISIONS = [KNOWN, UNKNOWN, STRANGE, KNOWN, KNOWN]
TOTAL = np.array([0.1, 0.1, 0.1, 0.5, 0.1])


def _choice(
    policy: CapturePolicy, burst: int, share: float = 0.0, chance: Callable[[], float] = lambda: 1.0
) -> CaptureChoice:
    return CaptureChoice(policy, 0.5, share, CaptureRate(1.0, burst, lambda: 0.0), chance)


def test_with_room_the_policy_decides() -> None:
    numbers = iter([0.3, 0.1])
    shared = _choice(CapturePolicy.DOUBTFUL, 100, 0.2, lambda: next(numbers))
    assert shared.chosen(DECISIONS, TOTAL).kept == (1, 2, 3, 4)
    assert _choice(CapturePolicy.ALL, 100).chosen(DECISIONS, TOTAL).kept == (0, 1, 2, 3, 4)
    none = _choice(CapturePolicy.DOUBTFUL, 100).chosen(DECISIONS, TOTAL)
    assert (none.kept, none.refused) == ((1, 2, 3), 0)


def test_doubtful_inputs_come_first_and_half_of_the_room_is_theirs() -> None:
    choice = _choice(CapturePolicy.ALL, 8)
    known = choice.chosen([KNOWN] * 10, np.zeros(10))
    assert (known.kept, known.refused) == ((0, 1, 2, 3), 6)
    mixed = choice.chosen([KNOWN, UNKNOWN, KNOWN, STRANGE], np.zeros(4))
    assert (mixed.kept, mixed.refused) == ((1, 3), 2)
    strange = choice.chosen([STRANGE] * 5, np.zeros(5))
    assert (strange.kept, strange.refused) == ((0, 1), 3)


@given(
    per_second=st.floats(0.01, 1e4),
    burst=st.integers(1, 1000),
    steps=st.lists(
        st.tuples(st.floats(0, 100), st.integers(0, 2000), st.sampled_from([0.0, 0.5])),
        max_size=30,
    ),
)
def test_a_rate_grants_a_burst_and_what_came_in_since(
    per_second: float, burst: int, steps: list[tuple[float, int, float]]
) -> None:
    now = 0.0
    rate = CaptureRate(per_second, burst, lambda: now)
    granted = 0
    for seconds, wanted, reserve in steps:
        now += seconds
        given_now = rate.take(wanted, reserve)
        assert 0 <= given_now <= wanted
        granted += given_now
        assert granted <= burst + now * per_second + 1e-6


def test_a_rate_fills_again() -> None:
    now = 0.0
    rate = CaptureRate(2.0, 4, lambda: now)
    assert [rate.take(3), rate.take(3)] == [3, 1]
    now = 1.5
    assert rate.take(9) == 3
    now = 1000.0
    assert rate.take(9) == 4


def test_a_load_of_known_inputs_leaves_room_for_a_strange_one(settings: Settings) -> None:
    publish_small(settings.models_dir, "v1")
    more = {"capture_rate": 0.001, "capture_rows": 8}
    with running_app(settings.model_copy(update=more)) as client:
        rows = known_inputs(4, seed=1).reshape(4, -1).tolist()
        for _ in range(6):
            assert client.post("/predict", json={"inputs": rows}).status_code == 200
        strange = [1.0] * len(rows[0])
        told = client.post("/predict", json={"inputs": [strange]}).json()["predictions"][0]
        assert told["ood"]["decision"] != "known"
        body = {"items": [{"prediction_id": told["prediction_id"], "label": "a"}]}
        assert client.post("/feedback", json=body).status_code == 202
        skipped = [
            float(line.split()[1])
            for line in client.get("/metrics").text.splitlines()
            if line.startswith("rcmvae_captures_skipped_total ")
        ]
        assert skipped[0] >= 6 * 4 - 4
