"""The retrain job killed, raced and robbed of its claim: nothing is lost or applied twice."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcmvae.bundle import (
    Bundle,
    BundleDraft,
    load_current,
    read_pointer,
)
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleConflict, ClaimLost
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.training.retrain_run import (
    die_after_promotion,
    killed,
    rival,
    run,
    statuses,
)
from tests.training.tiny import (
    LENIENT,
    corrections,
    post,
)
from training.promotion import ATTEMPTS
from training.relabel import Correction, relabel
from training.reporter import Alone
from training.retrain import retrain


def test_killed_between_promotion_and_mark_nothing_is_applied_twice(
    models: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FeedbackStore.open(store_url) as store:
        ids = post(store, corrections(9, 5))
        with monkeypatch.context() as patch:
            die_after_promotion(patch)
            with pytest.raises(SystemExit):
                retrain(models, store, "relabel", LENIENT)
        assert statuses(store, ids) == [FeedbackStatus.CLAIMED] * 5
    promoted = load_current(models)
    evidence = read_label_map(promoted).evidence
    with FeedbackStore.open(store_url) as store:
        result = run(models, store)
        assert (result.version, result.parent, result.gates) == (promoted.version, None, ())
        assert list(result.applied) == ids
        assert {store.get(i).applied_version for i in ids} == {promoted.version}
    assert read_pointer(models) == promoted.version
    np.testing.assert_array_equal(read_label_map(load_current(models)).evidence, evidence)


def test_killed_before_promotion_the_feedback_comes_back(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_pointer(models)
    ids = post(store, corrections(9, 5))
    with monkeypatch.context() as patch:
        patch.setattr("training.promotion.move_pointer", killed)
        patch.setattr(FeedbackStore, "release", lambda *_: None)
        patch.setattr("training.reporter.LEASE", timedelta(seconds=1e-3))
        with pytest.raises(SystemExit):
            retrain(models, store, "relabel", LENIENT)
    assert read_pointer(models) == before
    assert list(run(models, store).applied) == ids


class Busy(Alone):
    """The job of a store into which somebody posts a label whenever something was claimed."""

    def __init__(self, store: FeedbackStore) -> None:
        super().__init__(store)
        self.store = store
        self.later: list[str] = []

    def claimed(self, token: str | None) -> None:
        super().claimed(token)
        if token is not None:
            assert not self.later, "what came later was claimed"
            self.later += post(self.store, corrections(5, 1))


def test_labels_that_come_meanwhile_are_for_the_next_job(
    models: Path, store: FeedbackStore
) -> None:
    """Where labels come all the time, a job would never end, and nothing else would be done."""
    ids = post(store, corrections(9, 4))
    busy = Busy(store)
    result = retrain(models, store, "relabel", LENIENT, busy)
    assert result is not None
    assert list(result.applied) == ids
    assert statuses(store, busy.later) == [FeedbackStatus.QUEUED]
    assert list(run(models, store).applied) == busy.later


def test_a_lost_race_is_run_again_on_the_new_parent(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.move_pointer", rival(ATTEMPTS - 1))
    ids = post(store, corrections(9, 4))
    result = run(models, store)
    current = load_current(models)
    assert current.version == result.version
    assert current.manifest.lineage.parent_version == result.parent
    assert set(read_label_map(current).ids) >= {"rival-0", "rival-1", *ids}
    assert statuses(store, ids) == [FeedbackStatus.APPLIED] * 4


def test_races_lost_too_often_queue_the_feedback_again(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.promotion.move_pointer", rival(ATTEMPTS))
    ids = post(store, corrections(9, 4))
    with pytest.raises(BundleConflict):
        retrain(models, store, "relabel", LENIENT)
    assert statuses(store, ids) == [FeedbackStatus.QUEUED] * 4
    assert not set(read_label_map(load_current(models)).ids) & set(ids)


def test_a_claim_that_another_took_over_is_said_and_left_to_it(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is over before the bundle is made, and another worker claims the same."""
    before = read_pointer(models)
    ids = post(store, corrections(9, 4))

    def slow(
        parent: Bundle, items: Sequence[Correction], gone: Sequence[str], *more: Any
    ) -> BundleDraft:
        taken = store.claim(worker="another", limit=99, lease=timedelta(minutes=1))
        assert taken is not None
        return relabel(parent, items, gone, *more)

    monkeypatch.setattr("training.reporter.LEASE", timedelta(microseconds=1))
    monkeypatch.setattr("training.promotion.relabel", slow)
    with pytest.raises(ClaimLost, match="nothing is claimed under this token"):
        retrain(models, store, "relabel", LENIENT)
    assert statuses(store, ids) == [FeedbackStatus.CLAIMED] * 4
    assert read_pointer(models) == before
