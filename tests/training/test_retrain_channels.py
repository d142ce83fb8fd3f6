"""The retrain job where labels find no free channel."""

from pathlib import Path

import pytest

from rcmvae.bundle import (
    read_pointer,
)
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.training.retrain_run import (
    claim_everything,
    run,
    statuses,
)
from tests.training.tiny import (
    LENIENT,
    STRICT,
    corrections,
    everything_wrong,
    post,
)
from training.retrain import retrain


def test_without_a_free_channel_the_feedback_waits_for_a_refit(
    models: Path, store: FeedbackStore
) -> None:
    claim_everything(models)
    before = read_pointer(models)
    ids = post(store, corrections(9, 3))
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    assert (result.applied, result.queued, result.parent) == ((), tuple(ids), None)
    assert statuses(store, ids) == [FeedbackStatus.QUEUED] * 3
    assert read_pointer(models) == before


def test_a_label_without_a_channel_does_not_hold_up_the_others(
    models: Path, store: FeedbackStore
) -> None:
    claim_everything(models)
    new, known = post(store, corrections(9, 3)), post(store, corrections(4, 2))
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    assert (result.applied, result.queued) == (tuple(known), tuple(new))
    assert statuses(store, known) == [FeedbackStatus.APPLIED] * 2
    assert statuses(store, new) == [FeedbackStatus.QUEUED] * 3
    assert read_pointer(models) == result.version


def test_a_refused_batch_leaves_the_label_without_a_channel_queued(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.settling.MOST_REFUSALS", 0)
    claim_everything(models)
    new, bad = post(store, corrections(9, 1)), post(store, everything_wrong())
    retrain(models, store, "relabel", STRICT)
    assert statuses(store, new) == [FeedbackStatus.QUEUED]
    assert set(statuses(store, bad)) == {FeedbackStatus.REJECTED}


def test_labels_without_a_channel_do_not_fill_every_claim(
    models: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.retrain.CLAIM_LIMIT", 3)
    claim_everything(models)
    new = post(store, corrections(9, 6))
    known = post(store, corrections(4, 2))
    result = run(models, store)
    assert (result.applied, set(statuses(store, new))) == (tuple(known), {FeedbackStatus.QUEUED})
