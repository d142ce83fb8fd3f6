"""Labels renamed, merged, deleted, and all of it undone: store, command and label map together."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_current
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackFilter, FeedbackStatus, FeedbackStore, NewFeedback
from rcmvae.label_map import LabelMap
from tests.training.tiny import LENIENT, run_main, unseen
from training.__main__ import main
from training.guard import GuardConfig
from training.retrain import retrain
from training.share_cap import ShareCap


def teach(models: Path, store: FeedbackStore) -> LabelMap:
    """Two people teach one class by two names."""
    nines = unseen(9, 8)
    for author, label, rows in (("ann", "nine", nines[:5]), ("bob", "neuf", nines[5:])):
        store.add([NewFeedback(label, x) for x in rows], author=author)
    return relabelled(models, store)


def relabelled(models: Path, store: FeedbackStore) -> LabelMap:
    assert retrain(models, store, "relabel", LENIENT, guard=GuardConfig(), cap=ShareCap())
    return read_label_map(load_current(models))


def examples(label_map: LabelMap, label: str) -> NDArray[np.float64]:
    """What the examples of a label add, in an order that does not depend on their ids, (n, K)."""
    rows = label_map.contributions[label_map.contribution_labels == label_map.index(label)]
    return np.asarray(rows[np.lexsort(rows.T)])


def edit(*arguments: str | Path) -> str:
    """Run `labels`, and return the id of the edit."""
    return run_main("labels", *map(str, arguments)).split(":")[0]


def same(one: LabelMap, other: LabelMap) -> None:
    assert sorted(one.labels) == sorted(other.labels)
    for label in one.labels:
        np.testing.assert_allclose(examples(one, label), examples(other, label), atol=1e-12)


def test_a_label_is_renamed_merged_deleted_and_all_is_undone(
    models: Path, store: FeedbackStore, store_url: str
) -> None:
    places = ("--models", models, "--store", store_url)
    taught = teach(models, store)
    assert taught.labels[-2:] == ("nine", "neuf")

    renamed = edit("rename", *places, "nine", "9")
    after = relabelled(models, store)
    assert set(after.labels) == {*taught.labels} - {"nine"} | {"9"}
    np.testing.assert_allclose(examples(after, "9"), examples(taught, "nine"), atol=1e-12)
    said = store.listing(FeedbackFilter(label="9"), limit=10).records
    assert {record.author for record in said} == {"ann"}
    assert {record.status for record in said} == {FeedbackStatus.APPLIED}

    merged = edit("merge", *places, "neuf", "9")
    both = relabelled(models, store)
    assert "neuf" not in both.labels
    assert len(examples(both, "9")) == 8

    deleted = edit("delete", *places, "9")
    without = relabelled(models, store)
    assert without.labels == taught.labels[:-2]

    edit("undo", *places, deleted)
    same(relabelled(models, store), both)
    # Undone is done again in new corrections, so an earlier edit is undone by its own name no more.
    assert main(["labels", "undo", *map(str, places), merged]) == 1
    assert main(["labels", "undo", *map(str, places), renamed]) == 1


def test_an_edit_that_nothing_followed_is_undone_to_rounding(
    models: Path, store: FeedbackStore, store_url: str
) -> None:
    places = ("--models", models, "--store", store_url)
    taught = teach(models, store)
    merged = edit("merge", *places, "neuf", "nine")
    assert len(examples(relabelled(models, store), "nine")) == 8
    again = edit("undo", *places, merged)
    same(relabelled(models, store), taught)
    edit("undo", *places, again)
    assert len(examples(relabelled(models, store), "nine")) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rename", "3", "three"), "one of the fit"),
        (("delete", "3"), "one of the fit"),
        (("rename", "nobody", "x"), "label: expected one of the bundle"),
        (("undo", "edit-0"), "edit: expected"),
    ],
)
def test_what_cannot_be_edited(
    arguments: tuple[str, ...],
    message: str,
    bundle: Bundle,
    models: Path,
    store_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, *rest = arguments
    places = ("--models", str(models), "--store", store_url)
    assert main(["labels", name, *places, *rest]) == 1
    assert message in capsys.readouterr().err
    assert load_current(models).version == bundle.version
