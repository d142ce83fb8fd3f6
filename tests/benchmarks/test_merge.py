"""Results over different seeds become one; what does not belong together is refused."""

from dataclasses import replace

import pytest

from benchmarks.merge import MergeRefused, merge
from benchmarks.result import Provenance, Result
from tests.benchmarks.small import small_result

ORIGIN = Provenance("fff0000", "the merge")
LATER = small_result((2, 3), (0.7, 0.9))
EARLIER = small_result((0, 1), (0.8, 0.6))


def test_seeds_are_put_in_order_with_their_values() -> None:
    merged = merge([LATER, EARLIER], ORIGIN)
    figure = merged.figures["accuracy"]
    assert merged.seeds == (0, 1, 2, 3)
    assert figure.values == (0.8, 0.6, 0.7, 0.9)
    assert figure.mean == pytest.approx(0.75)
    assert merged.commit == "abc1234"
    assert merged.command == "the merge"
    assert merged.parts == ("run (2, 3)", "run (0, 1)")


def with_threads(result: Result, threads: int) -> Result:
    return replace(result, config={"run": {"fit": {"epochs": 3, "threads": threads}}, "peers": {}})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (with_threads(LATER, 2), r"configuration: run\.fit\.threads: expected 1, got 2"),
        (replace(LATER, commit="0000000"), "commit: expected abc1234, got 0000000"),
        (replace(LATER, seeds=(1, 2)), r"seeds: expected each once, got \[0, 1, 1, 2\]"),
        (replace(LATER, figures={}), r"figures: .* \['accuracy'\]"),
    ],
)
def test_what_differs_is_refused_by_name(other: Result, message: str) -> None:
    with pytest.raises(MergeRefused, match=message):
        merge([EARLIER, other], ORIGIN)
