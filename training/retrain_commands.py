"""`python -m training retrain`: once, or as a service of its own."""

import argparse
import logging
import os
import time
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter

from rcmvae.errors import InvalidInput, JobFailed
from rcmvae.feedback import FeedbackStore
from rcmvae.feedback.location import store_url
from rcmvae.jobs import JobMethod, JobOrigin, JobRecord, JobState, JobStore
from training.due import Schedule
from training.guard import GuardConfig
from training.held_job import LEASE
from training.refit_process import RefitProcess
from training.reporter import worker_name
from training.share_cap import ShareCap
from training.unwind import unwound_by_sigterm
from training.watch import WatchConfig, Watcher

METHODS = (JobMethod.AUTO, JobMethod.RELABEL, JobMethod.REFIT)
_FOLLOW_SECONDS = 0.1
_MOST = 1e8
"""Three years in seconds: times that are added to it must stay in the calendar."""


def models_folder() -> Path:
    """Where the service looks for bundles too, by the same variable."""
    return Path(os.environ.get("RCMVAE_MODELS_DIR", "models"))


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options that say where bundles and feedback are."""
    parser.add_argument("--models", type=Path, default=models_folder(), help="folder of bundles")
    parser.add_argument("--store", default=store_url(), help="database URL of the feedback store")


def add_retrain(parser: argparse.ArgumentParser) -> None:
    """The options of `retrain`."""
    default, schedule = WatchConfig(Path()), Schedule()
    add_places(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="one job, then stop; the default")
    how.add_argument("--watch", action="store_true", help="go on working until SIGTERM")
    parser.add_argument(
        "--method", choices=METHODS, type=JobMethod, default=JobMethod.AUTO, help="of the one job"
    )
    for flag, seconds, text in (
        ("--poll", default.poll, "seconds between two looks into the store"),
        ("--quiet", schedule.quiet.total_seconds(), "seconds without a label that end a batch"),
        ("--lease", LEASE.total_seconds(), "seconds until another takes over from a dead watcher"),
    ):
        parser.add_argument(flag, type=float, default=seconds, help=text)
    parser.add_argument(
        "--refit-hours",
        type=float,
        default=schedule.refit_every.total_seconds() / 3600,
        help="a refit is due so long after the last one, if labels came since; 0 for never",
    )
    parser.add_argument(
        "--keep", type=int, default=default.keep, help="newest bundles that stay; 0 keeps all"
    )
    parser.add_argument(
        "--no-guard",
        action="store_true",
        help="apply labels that all others contradict too, and let one author weigh as he likes",
    )
    parser.set_defaults(command=run_retrain)


def run_retrain(options: argparse.Namespace) -> None:
    """Work until told to stop, or on one job and print it.

    Raises:
        InvalidInput: an option does not fit.
        JobFailed: the one job failed.
    """
    config = _config(options)
    with unwound_by_sigterm(), FeedbackStore.open(options.store) as store:
        if options.watch:
            logging.getLogger(__name__).info("watching %s", config.models)
            Watcher(store, config, RefitProcess(options.store, config)).watch()
        else:
            job = work_once(store, Watcher(store, config), options.method, config.lease)
            if job.state is JobState.FAILED:
                raise JobFailed(f"{job.message} (job {job.job_id})")
            print(TypeAdapter(JobRecord).dump_json(job, indent=2).decode())


def work_once(
    store: FeedbackStore, watcher: Watcher, method: JobMethod, lease: timedelta
) -> JobRecord:
    """Ask for a job and see to it that it ends, by this process or by a watcher beside it."""
    jobs = JobStore.of(store)
    job = jobs.request(method, JobOrigin.REQUEST, worker_name())
    while job.is_open:
        claim = jobs.claim(worker_name(), lease)
        if claim is None:
            time.sleep(_FOLLOW_SECONDS)
        else:
            watcher.work_on(claim)
        job = jobs.get(job.job_id)
    return job


def _config(options: argparse.Namespace) -> WatchConfig:
    for flag in ("poll", "lease"):
        if not 0 < getattr(options, flag) <= _MOST:
            expected = f"more than 0, at most {_MOST:g}"
            raise InvalidInput(f"--{flag}", expected, f"{getattr(options, flag):g}")
    for flag in ("quiet", "refit_hours", "keep"):
        if not 0 <= getattr(options, flag) <= _MOST:
            name = f"--{flag.replace('_', '-')}"
            raise InvalidInput(name, f"0 to {_MOST:g}", f"{getattr(options, flag):g}")
    return WatchConfig(
        models=options.models,
        guard=None if options.no_guard else GuardConfig(),
        cap=None if options.no_guard else ShareCap(),
        schedule=Schedule(
            quiet=timedelta(seconds=options.quiet),
            refit_every=timedelta(hours=options.refit_hours),
        ),
        poll=options.poll,
        lease=timedelta(seconds=options.lease),
        keep=options.keep,
    )
