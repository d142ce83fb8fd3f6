"""What other processes do to a models folder while a test looks on.

Apart from the tests, so that a child need not import pytest and hypothesis before it starts.
"""

import multiprocessing
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

from rcmvae.bundle import move_pointer, new_version, prune, publish_bundle, read_pointer
from rcmvae.errors import BundleConflict
from tests.rcmvae.bundle_factory import FIRST, small_draft

# Quick children even where this process has threads, which a plain fork must not copy.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.rcmvae.bundle_processes"])

RIVALS = 4
TURNS = 25
SHORTER = FIRST[:-4]
"""A version whose name is the beginning of another: a torn read would show it."""


def publish_for_ever(models: Path, acknowledged: Connection) -> None:
    while True:
        parent = read_pointer(models)
        draft = small_draft(new_version(datetime.now(UTC), parent), parent=parent)
        publish_bundle(models, draft, expected_parent=parent)
        acknowledged.send(draft.bundle_version)


def target_of(rival: int, turn: int) -> str:
    return f"v-{turn:02d}-{rival}"


def compete(models: Path, rival: int, start: Barrier) -> None:
    """Every turn all rivals swap from the same expectation at once; note the wins."""
    for turn in range(TURNS):
        expected = read_pointer(models)
        start.wait(30)
        try:
            move_pointer(models, expected, target_of(rival, turn))
        except BundleConflict:
            pass
        else:
            (models / f"{target_of(rival, turn)}.won").touch()
        start.wait(30)


def swap_until(models: Path, stop: Event) -> None:
    """Move between two versions, one name a prefix of the other, as fast as it goes."""
    current, other = FIRST, SHORTER
    while not stop.is_set():
        move_pointer(models, current, other)
        current, other = other, current


def publish_until(models: Path, stop: Event) -> None:
    while not stop.is_set():
        parent = read_pointer(models)
        draft = small_draft(new_version(datetime.now(UTC), parent), parent=parent)
        try:
            publish_bundle(models, draft, expected_parent=parent)
        except BundleConflict:
            continue


def prune_until(models: Path, stop: Event) -> None:
    while not stop.is_set():
        prune(models, keep=4)
