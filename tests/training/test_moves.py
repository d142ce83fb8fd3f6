"""Moving the pointer by hand: what is served is applied, what a person took out is set aside."""

from datetime import timedelta
from pathlib import Path

import pytest

from rcmvae.bundle import load_current, move_pointer, read_manifest, read_pointer
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleNotFound, InvalidInput
from rcmvae.feedback import FeedbackStatus, FeedbackStore
from rcmvae.jobs import (
    JobMethod,
    JobStore,
    VersionState,
    promote,
    reconcile,
    roll_back,
    state_of,
)
from tests.training.test_watch import watcher
from tests.training.tiny import LENIENT, corrections, post, run_main, wrong
from training.__main__ import main
from training.gate import GateConfig
from training.retrain import retrain


def learn(models: Path, store: FeedbackStore, digit: int, count: int = 4) -> list[str]:
    ids = post(store, corrections(digit, count))
    assert retrain(models, store, "relabel", LENIENT) is not None
    return ids


def statuses(store: FeedbackStore, ids: list[str]) -> set[FeedbackStatus]:
    return {store.get(name).status for name in ids}


def test_what_was_rolled_back_neither_vanishes_nor_comes_back_by_itself(
    models: Path, store: FeedbackStore
) -> None:
    kept = learn(models, store, 3)
    parent = read_pointer(models)
    gone = learn(models, store, 5)
    bad = read_pointer(models)
    job = roll_back(models, store, None, "anna")
    assert (job.method, job.version, job.requested_by) == (JobMethod.ROLLBACK, parent, "anna")
    assert read_pointer(models) == parent
    assert statuses(store, kept) == {FeedbackStatus.APPLIED}
    assert statuses(store, gone) == {FeedbackStatus.QUARANTINED}
    reason = store.get(gone[0]).reason
    assert reason is not None
    assert f"rolled back from {bad} to {parent} by anna" in reason
    assert watcher(models, store).step() is None, "no watcher applies it at once again"
    assert job.counts.quarantined == len(gone)

    store.accept(gone[0], "ben")
    assert watcher(models, store).step() is not None
    assert statuses(store, gone[:1]) == {FeedbackStatus.APPLIED}
    assert statuses(store, gone[1:]) == {FeedbackStatus.QUARANTINED}


def test_forth_again_it_is_applied_again(models: Path, store: FeedbackStore) -> None:
    ids = learn(models, store, 3)
    child = read_pointer(models)
    assert child is not None
    roll_back(models, store, None, "anna")
    job = promote(models, store, child, "ben")
    assert (job.method, job.counts.applied) == (JobMethod.PROMOTE, len(ids))
    assert statuses(store, ids) == {FeedbackStatus.APPLIED}
    assert {store.get(name).applied_version for name in ids} == {child}


def test_a_move_that_was_killed_half_way_is_made_good_by_the_watcher(
    models: Path, store: FeedbackStore
) -> None:
    parent = read_pointer(models)
    assert parent is not None
    ids = learn(models, store, 3)
    move_pointer(models, read_pointer(models), parent)
    assert statuses(store, ids) == {FeedbackStatus.APPLIED}
    assert watcher(models, store).step() is None
    assert statuses(store, ids) == {FeedbackStatus.QUARANTINED}
    assert reconcile(models, store, "again", "").quarantined == ()


def test_a_held_bundle_waits_for_a_person(models: Path, store: FeedbackStore) -> None:
    """What a gate so strict does not let pass is held where the test is not sure."""
    strict = GateConfig(0.0, 0.0, 0.0, 0.0, level=0.0)
    before = read_pointer(models)
    ids = post(store, wrong(6, "1", 12))
    result = retrain(models, store, "relabel", strict)
    assert result is not None
    assert result.held
    held = set(result.quarantined)
    assert statuses(store, list(held)) == {FeedbackStatus.QUARANTINED}
    first = store.get(next(name for name in ids if name in held))
    assert first.reason is not None
    assert first.reason.startswith("held in version ")
    version = first.reason.split()[3].rstrip(":")
    assert version in result.held
    assert retrain(models, store, "relabel", strict) is None, "it is not tried over and over"

    promote(models, store, version, "anna")
    assert store.get(first.feedback_id).status is FeedbackStatus.APPLIED
    assert first.feedback_id in read_label_map(load_current(models)).ids
    roll_back(models, store, before, "anna")
    assert store.get(first.feedback_id).status is FeedbackStatus.QUARANTINED
    # By its name, which is as good as promoting it.
    roll_back(models, store, version, "anna")
    roll_back(models, store, before, "anna")
    manifest, moved_to = read_manifest(models / version), JobStore.of(store).made_current()
    assert state_of(manifest, before, moved_to) is VersionState.RETIRED


def test_what_was_withdrawn_leaves_the_bundle_that_is_rolled_back_to(
    models: Path, store: FeedbackStore
) -> None:
    ids = learn(models, store, 3)
    holding = read_pointer(models)
    store.withdraw(ids[0], "anna")
    assert watcher(models, store).step() is not None
    assert store.get(ids[0]).status is FeedbackStatus.WITHDRAWN
    roll_back(models, store, holding, "ben")
    assert store.get(ids[0]).status is FeedbackStatus.WITHDRAWING
    assert watcher(models, store).step() is not None
    assert store.get(ids[0]).status is FeedbackStatus.WITHDRAWN
    assert ids[0] not in read_label_map(load_current(models)).ids


def test_what_a_job_holds_is_left_to_it(models: Path, store: FeedbackStore) -> None:
    learn(models, store, 3)
    ids = post(store, corrections(5, 2))
    claim = store.claim(worker="w", limit=9, lease=timedelta(minutes=1))
    assert claim is not None
    roll_back(models, store, None, "anna")
    store.reject(claim.token, ids, "no")
    assert statuses(store, ids) == {FeedbackStatus.REJECTED}


def test_moves_that_lead_nowhere_are_refused(models: Path, store: FeedbackStore) -> None:
    current = read_pointer(models)
    assert current is not None
    with pytest.raises(InvalidInput, match="no parent"):
        roll_back(models, store, None, "anna")
    with pytest.raises(InvalidInput, match="another version than the current"):
        promote(models, store, current, "anna")
    with pytest.raises(BundleNotFound):
        promote(models, store, "20200101T000000Z-00000000", "anna")
    assert JobStore.of(store).newest(9) == ()
    assert read_pointer(models) == current


def test_the_commands(
    models: Path, store_url: str, store: FeedbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = read_pointer(models)
    ids = learn(models, store, 3)
    child = read_pointer(models)
    assert child is not None
    places = ("--models", str(models), "--store", store_url)
    said = run_main("rollback", *places)
    assert said.startswith(f"rolled back from {child} to {parent}: 0 corrections applied again, ")
    assert said.endswith(f"{len(ids)} quarantined until somebody accepts them\n")
    assert run_main("versions", *places).splitlines() == [
        f"{child}  retired  relabel  of {parent}",
        f"{parent}  current  fit",
    ]
    assert f"promoted from {parent} to {child}" in run_main("promote", *places, child)
    assert read_pointer(models) == child
    assert main(["promote", *places, child]) == 1
    assert "another version than the current" in capsys.readouterr().err
