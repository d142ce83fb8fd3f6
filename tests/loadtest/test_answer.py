"""What the load test calls a wrong answer. Without locust, which would patch this process."""

from typing import Any

import numpy as np
import pytest

from loadtest.answer import TOLERANCE, Said, Unexpected, check_predictions, read_rows
from loadtest.phases import AFTER, BURST, CALM, SETTLING, Phases


def row(first: float, **changed: object) -> dict[str, Any]:
    """A prediction of two labels."""
    good = {
        "label": "a",
        "ood": {"decision": "known"},
        "probabilities": {"a": first, "b": 1 - first},
        "position": [first, 0.5],
    }
    return good | changed


def said(version: str, *first: float) -> dict[str, Any]:
    return {"bundle_version": version, "predictions": [row(one) for one in first]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([row(0.5)], "expected 2 predictions, got 1"),
        ([row(0.5), row(0.5, ood={"decision": "maybe"})], "unknown decision 'maybe'"),
        ([row(0.5), row(0.5, probabilities={"a": 1.0})], "different labels"),
        ([row(0.5), row(0.5, label="c")], "no probability for the label 'c'"),
        ([row(0.5), row(0.5, probabilities={"a": 0.5, "b": 0.6})], "sum to 1.1"),
    ],
)
def test_every_row_is_held_against_the_contract(wrong: list[Any], message: str) -> None:
    check_predictions(said("v1", 0.2, 0.9), rows=2)
    with pytest.raises(Unexpected, match=message):
        check_predictions({"predictions": wrong}, rows=2)


def test_an_answer_of_two_versions_is_of_neither() -> None:
    memory = Said()
    for version, first in (("v1", (0.2, 0.4)), ("v2", (0.7, 0.9))):
        memory.check(version, read_rows(said(version, *first)))
    memory.check("v1", read_rows(said("v1", 0.2, 0.4 + TOLERANCE / 2)))
    for version, mixed in (("v1", (0.2, 0.9)), ("v2", (0.2, 0.9)), ("v2", (0.2, 0.4))):
        with pytest.raises(Unexpected, match=f"not what {version} said"):
            memory.check(version, read_rows(said(version, *mixed)))
    with pytest.raises(Unexpected, match="before, now"):
        memory.check("v1", read_rows(said("v1", 0.2)))


def test_how_many_rows_tell_versions_apart() -> None:
    memory = Said()
    assert memory.told_apart() == 1.0
    memory.check("v1", np.array([[0.2, 0.8], [0.4, 0.6]]))
    memory.check("v2", np.array([[0.2, 0.8], [0.5, 0.5]]))
    assert memory.told_apart() == 0.5
    memory.check("v3", np.array([[0.2, 0.8], [0.5, 0.5]]))
    assert memory.told_apart() == 0.0
    assert Said({"v1": np.zeros((2, 3)), "v2": np.zeros((2, 4))}).told_apart() == 1.0


def test_a_burst_has_calm_on_both_sides() -> None:
    phases = Phases(calm=5.0, burst=2.0, bursts=2)
    seconds = [0.0, 4.9, 5.0, 6.9, 7.0, 8.9, 9.0, 11.9, 12.0, 13.9, 14.0, 16.1]
    expected = [CALM, CALM, BURST, BURST, SETTLING, SETTLING, AFTER, AFTER]
    expected += [BURST, BURST, SETTLING, AFTER]
    assert [phases.phase_at(second) for second in seconds] == expected
    assert phases.seconds == 19.0
    assert [phases.users_at(second, 50) for second in (0.0, 5.0, 7.0)] == [5, 50, 5]
    assert phases.users_at(0.0, 1) == 1
