"""Processes for the tests of the feedback store: ``python -m ...feedback_child ROLE URL NAME``.

Each prints a line only after the store has acknowledged what the line says.
"""

import sys
import time
from contextlib import suppress
from datetime import timedelta
from itertools import count

from rcmvae.errors import ClaimLost
from rcmvae.feedback import FeedbackStore
from tests.rcmvae.feedback_fixtures import correction


def produce(store: FeedbackStore, name: str) -> None:
    """Add corrections of inputs of its own for ever, one or two at a time; print their ids."""
    start = int(name) * 1_000_000
    for number in count():
        seeds = [start + 2 * number + part for part in range(1 + number % 2)]
        items = [correction(seed, name) for seed in seeds]
        for record in store.add(items, idempotency_key=f"{name}-{number}", body_sha256="0" * 64):
            print(record.feedback_id, flush=True)


def work(store: FeedbackStore, name: str) -> None:
    """Claim and apply until nothing is left, and print the ids applied."""
    while left(store):
        apply_some(store, name)


def work_on(store: FeedbackStore, name: str) -> None:
    """The same for ever, with an empty line for every time that nothing was left to claim."""
    while True:
        if not apply_some(store, name):
            print(flush=True)
            time.sleep(0.01)


def apply_some(store: FeedbackStore, name: str) -> bool:
    """Claim and apply a few, and print their ids; whether there were any to claim."""
    claim = store.claim(worker=name, limit=3, lease=timedelta(seconds=0.3))
    if claim is None:
        return False
    ids = [record.feedback_id for record in claim.records]
    with suppress(ClaimLost):
        store.mark_applied(claim.token, ids, name)
        print(*ids, sep="\n", flush=True)
    return True


def left(store: FeedbackStore) -> int:
    counts = store.counts_by_status()
    return counts.queued + counts.claimed


def submit(store: FeedbackStore, key: str) -> None:
    """Add one correction under a key that others use too, and print its id."""
    (record,) = store.add([correction(1)], idempotency_key=key, body_sha256="0" * 64)
    print(record.feedback_id, flush=True)


def main(role: str, url: str, name: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    with FeedbackStore.open(url) as store:
        {"produce": produce, "work": work, "work_on": work_on, "submit": submit}[role](store, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
