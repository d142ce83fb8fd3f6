"""A retrain job of a test, and what is done to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rcmvae.bundle import (
    load_current,
    move_pointer,
    publish_bundle,
    stage_bundle,
)
from rcmvae.bundle.manifest import CALIBRATION
from rcmvae.calibration import parse_calibration
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from tests.training.tiny import (
    LENIENT,
    corrections,
    unseen,
)
from training.relabel import Correction, relabel
from training.retrain import retrain
from training.retrain_job import RetrainResult


def run(models: Path, store: FeedbackStore) -> RetrainResult:
    result = retrain(models, store, "relabel", LENIENT)
    assert result is not None
    return result


def statuses(store: FeedbackStore, ids: Sequence[str]) -> list[FeedbackStatus]:
    return [store.get(feedback_id).status for feedback_id in ids]


def killed(*_: object) -> None:
    """Stand in for a process that is gone: nothing after it runs."""
    raise SystemExit(137)


def die_after_promotion(patch: pytest.MonkeyPatch) -> None:
    """The process is killed before it can say what it did; its lease is over at once."""
    patch.setattr(FeedbackStore, "mark_applied", killed)
    patch.setattr(FeedbackStore, "release", lambda *_: None)
    patch.setattr("training.reporter.LEASE", timedelta(microseconds=1))


def claim_everything(models: Path) -> None:
    """Publish a map in which no channel is free."""
    parent = load_current(models)
    draft = relabel(parent, corrections(3, 1))
    calibration = parse_calibration(draft.contents[CALIBRATION])
    none_free = calibration.model_copy(update={"free_mass": 1e-12})
    contents = {**draft.contents, CALIBRATION: none_free.model_dump_json().encode()}
    publish_bundle(models, replace(draft, contents=contents), expected_parent=parent.version)


Move = Callable[[Path, str | None, str], None]


def rival(times: int) -> Move:
    """Another publisher that gets in first, so many times."""
    left = [times]

    def move(models: Path, expected: str | None, target: str) -> None:
        if left[0]:
            left[0] -= 1
            parent = load_current(models)
            other = [Correction(f"rival-{left[0]}", "5", unseen(5, 9)[left[0]])]
            bundle = stage_bundle(models, relabel(parent, other))
            move_pointer(models, parent.version, bundle.version)
        move_pointer(models, expected, target)

    return move
