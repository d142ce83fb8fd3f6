"""Moving the pointer by a person's hand, to any version on disk, and what that means for feedback.

The rule: what the served bundle holds is applied, and what a person's move takes out of it is
quarantined until somebody accepts or withdraws it. So a roll-back makes no correction vanish, and
no watcher applies at once again what was just rolled back.
"""

from pathlib import Path

from rcmvae.bundle import load_bundle, load_current, move_pointer, read_manifest, read_pointer
from rcmvae.counts import read_label_map
from rcmvae.errors import BundleNotFound, InvalidInput
from rcmvae.feedback import FeedbackStore, Reconciled
from rcmvae.jobs.record import JobCounts, JobMethod, JobRecord
from rcmvae.jobs.store import JobStore


def promote(models: Path, store: FeedbackStore, version: str, by: str) -> JobRecord:
    """Make a version current, such as one that the gate held.

    Args:
        models: the folder of bundles.
        store: the feedback, and the jobs among which the move is written down.
        version: of the bundle, which is verified first.
        by: who does it.

    Raises:
        InvalidInput: it is current already.
        BundleNotFound, BundleDamaged, BundleFormatUnsupported: it cannot be served.
        BundleConflict: the pointer moved meanwhile.
    """
    return _move(models, store, JobMethod.PROMOTE, read_pointer(models), version, by)


def roll_back(models: Path, store: FeedbackStore, version: str | None, by: str) -> JobRecord:
    """Make an earlier version current: the parent of the current one where none is named.

    Raises:
        InvalidInput: the current version has no parent, or the named one is current already.
        BundleNotFound, BundleDamaged, BundleFormatUnsupported, BundleConflict: as `promote`.
    """
    current = read_pointer(models)
    if current is None:
        raise BundleNotFound("no version is current")
    target = version or read_manifest(models / current).lineage.parent_version
    if target is None:
        raise InvalidInput("version", "the name of one, as the current has no parent", "nothing")
    return _move(models, store, JobMethod.ROLLBACK, current, target, by)


def _move(
    models: Path, store: FeedbackStore, method: JobMethod, before: str | None, target: str, by: str
) -> JobRecord:
    if target == before:
        raise InvalidInput("version", "another version than the current", target)
    load_bundle(models / target)
    move_pointer(models, before, target)
    verb = "rolled back" if method is JobMethod.ROLLBACK else "promoted"
    message = f"{verb} from {before or 'nothing'} to {target}"
    done = reconcile(models, store, by, f"not in version {target}: {message} by {by}")
    counts = JobCounts(applied=len(done.applied), quarantined=len(done.quarantined))
    return JobStore.of(store).record_move(method, target, by, message, counts)


def reconcile(models: Path, store: FeedbackStore, actor: str, reason: str) -> Reconciled:
    """Let the store say of every correction what is true of the current bundle.

    A move whose process died before it could say so is made good by the next watcher. Corrections
    that a job holds are left to it.

    Args:
        models: the folder of bundles.
        store: the feedback.
        actor: who caused it, for the history.
        reason: for what is quarantined.
    """
    bundle = load_current(models)
    held = frozenset(read_label_map(bundle).ids)
    return store.reconcile(
        held, bundle.version, actor, reason, lambda: _is_current(models, bundle.version)
    )


def _is_current(models: Path, version: str) -> bool:
    return read_pointer(models) == version
