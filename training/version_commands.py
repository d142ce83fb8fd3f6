"""`python -m training versions|promote|rollback|shadow`: what there is, and which one is served."""

import argparse
import getpass
from pathlib import Path

from rcmvae.bundle import list_versions, name_shadow, read_manifest, read_pointer
from rcmvae.errors import BundleError
from rcmvae.feedback import FeedbackStore
from rcmvae.jobs import JobRecord, JobStore, promote, roll_back, state_of
from training.retrain_commands import add_places, models_folder


def add_versions(parser: argparse.ArgumentParser) -> None:
    """The options of `versions`."""
    add_places(parser)
    parser.set_defaults(command=run_versions)


def add_promote(parser: argparse.ArgumentParser) -> None:
    """The options of `promote`."""
    add_places(parser)
    parser.add_argument("version", help="a version on disk, such as one that the gate held")
    parser.set_defaults(command=run_promote)


def add_rollback(parser: argparse.ArgumentParser) -> None:
    """The options of `rollback`."""
    add_places(parser)
    parser.add_argument("version", nargs="?", help="the parent of the current one by default")
    parser.set_defaults(command=run_rollback)


def add_shadow(parser: argparse.ArgumentParser) -> None:
    """The options of `shadow`."""
    parser.add_argument("--models", type=Path, default=models_folder(), help="folder of bundles")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?", help="a version on disk")
    which.add_argument("--off", action="store_true", help="none any more")
    parser.set_defaults(command=run_shadow)


def run_shadow(options: argparse.Namespace) -> None:
    """Let a version score live traffic beside the current one; only metrics see it.

    Raises:
        BundleNotFound: there is no such version.
    """
    name_shadow(options.models, options.version)
    print(f"in the shadow: {options.version or 'none'}")


def run_versions(options: argparse.Namespace) -> None:
    """Print a line for every version, newest first."""
    with FeedbackStore.open(options.store) as store:
        moved_to = JobStore.of(store).made_current()
    current = read_pointer(options.models)
    for version in reversed(list_versions(options.models)):
        try:
            manifest = read_manifest(options.models / version)
        except BundleError as error:
            print(f"{version}  damaged  {error}")
            continue
        state, lineage = state_of(manifest, current, moved_to), manifest.lineage
        reason = lineage.gate.reason if lineage.gate else ""
        parent = f"of {lineage.parent_version}" if lineage.parent_version else ""
        print(f"{version}  {state:8} {lineage.method:8} {parent} {reason}".rstrip())


def run_promote(options: argparse.Namespace) -> None:
    """Make a version current.

    Raises:
        InvalidInput, BundleError: it is current already, or cannot be.
    """
    with FeedbackStore.open(options.store) as store:
        _say(promote(options.models, store, options.version, person()))


def run_rollback(options: argparse.Namespace) -> None:
    """Make an earlier version current; raises as `run_promote`."""
    with FeedbackStore.open(options.store) as store:
        _say(roll_back(options.models, store, options.version, person()))


def _say(job: JobRecord) -> None:
    counts = job.counts
    print(f"{job.message}: {counts.applied} corrections applied again, ", end="")
    print(f"{counts.quarantined} quarantined until somebody accepts them")


def person() -> str:
    """Who is at the terminal, as far as the machine knows."""
    try:
        return f"{getpass.getuser()} (command line)"[:128]
    except (OSError, KeyError):  # no such user: a container with an id alone
        return "command line"
