"""Why an answer is wrong: against scikit-learn's confusion matrix and a reading of the words."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from rcmvae.label_map import LabelMap
from training.report.cause import EMPTY, find_errors, label_counts, majority_labels
from training.report.census import channel_facts, class_facts

K, C = 4, 3
NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Answers:
    channel: NDArray[np.int64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    judged: NDArray[np.bool_]


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, K - 1),
                st.integers(0, C - 1),
                st.integers(0, C - 1),
                st.booleans(),
            ),
            min_size=1,
            max_size=40,
        )
    )
    columns = np.array(rows, dtype=np.int64).T
    return Answers(columns[0], columns[1], columns[2], columns[3].astype(bool))


def oracle_majority(given_: Answers, channel: int) -> int:
    """The most frequent class of a channel, of a tie the first, by counting one by one."""
    own = [int(y) for k, y in zip(given_.channel, given_.truth, strict=True) if k == channel]
    if not own:
        return EMPTY
    times = Counter(own)
    return min(times, key=lambda label: (-times[label], label))


@given(answers())
def test_counts_are_those_of_scikit_learn(given_: Answers) -> None:
    counts = label_counts(given_.channel, given_.truth, K, C)
    theirs = confusion_matrix(given_.channel, given_.truth, labels=range(max(K, C)))[:K, :C]
    np.testing.assert_array_equal(counts, theirs)


@given(answers())
def test_majority_is_the_most_frequent_class(given_: Answers) -> None:
    majority = majority_labels(label_counts(given_.channel, given_.truth, K, C))
    assert majority.tolist() == [oracle_majority(given_, k) for k in range(K)]


@given(answers())
def test_every_wrong_answer_has_one_cause_and_no_right_one_has_any(given_: Answers) -> None:
    majority = majority_labels(label_counts(given_.channel, given_.truth, K, C))
    errors = find_errors(given_.channel, given_.truth, given_.predicted, majority, given_.judged)
    by_map: list[int] = []
    by_channel: list[int] = []
    for row in range(len(given_.truth)):
        if given_.judged[row] and given_.predicted[row] != given_.truth[row]:
            held = oracle_majority(given_, int(given_.channel[row]))
            (by_map if held == given_.truth[row] else by_channel).append(row)
    assert errors.by_map.tolist() == by_map
    assert errors.by_channel.tolist() == by_channel
    assert len(errors) == len(by_map) + len(by_channel)


@given(answers())
def test_a_right_map_mends_the_errors_of_the_map_and_no_others(given_: Answers) -> None:
    majority = majority_labels(label_counts(given_.channel, given_.truth, K, C))
    everything = np.ones(len(given_.truth), dtype=bool)
    errors = find_errors(given_.channel, given_.truth, given_.predicted, majority, everything)
    # Each channel answers with its majority: the best that any map of channels to labels can do.
    best = majority[given_.channel]
    assert (best[errors.by_map] == given_.truth[errors.by_map]).all()
    assert (best[errors.by_channel] != given_.truth[errors.by_channel]).all()


@given(answers())
def test_the_tables_split_the_same_errors(given_: Answers) -> None:
    counts = label_counts(given_.channel, given_.truth, K, C)
    majority = majority_labels(counts)
    errors = find_errors(given_.channel, given_.truth, given_.predicted, majority, given_.judged)
    classes = class_facts(counts, NAMES, NAMES, given_.truth, errors)
    label_map = LabelMap(NAMES, np.eye(K)[:2], np.array([2, 0]), ("i", "j"), 0.1)
    usage = np.array([0.1, 0.2, 0.3, 0.4])
    channels = channel_facts(label_map, 0.5, usage, counts, NAMES, given_.channel, errors)
    for rows in (classes, channels):
        assert sum(row.by_map for row in rows) == errors.by_map.size
        assert sum(row.by_channel for row in rows) == errors.by_channel.size
        assert sum(row.test_inputs for row in rows) == len(given_.truth)
    for y, row in enumerate(classes):
        own = given_.channel[given_.truth == y]
        assert row.channels == sum(oracle_majority(given_, k) == y for k in range(K))
        if row.main_channel is not None:
            assert (own == row.main_channel).sum() == max(Counter(own.tolist()).values())
        same = {other.label for other in classes if other.main_channel == row.main_channel}
        assert set(row.shares_with) == (same - {row.label} if len(own) else set())


def test_channels_are_sorted_by_label_and_free_ones_come_last() -> None:
    # Channel 0 speaks for c, channel 1 for a; 2 and 3 have no evidence.
    label_map = LabelMap(NAMES, np.eye(K)[:2], np.array([2, 0]), ("i", "j"), 0.1)
    counts = np.array([[0, 1, 11], [1, 0, 0], [6, 5, 0], [0, 0, 0]])
    none = np.array([], dtype=np.int64)
    errors = find_errors(none, none, none, majority_labels(counts), np.array([], dtype=bool))
    usage = np.array([0.1, 0.2, 0.3, 0.4])
    facts = channel_facts(label_map, 0.5, usage, counts, NAMES, none, errors)
    assert [row.channel for row in facts] == [1, 0, 3, 2]
    assert [row.label for row in facts] == ["a", "c", None, None]
    assert [row.majority for row in facts] == ["a", "c", None, "a"]
    assert [row.is_mixed for row in facts] == [False, False, False, True]
    assert [row.evidence for row in facts] == [1.0, 1.0, 0.0, 0.0]
    assert facts[1].tau == (1 + 0.1) / 1.3
