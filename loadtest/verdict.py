"""The end of a run: which answers were wrong, and whether everything was asked at all.

Failed requests locust counts and judges by itself; `wrong_answer` is for those of them that were
answered with 200 and should not have been.
"""

import logging
from collections import Counter

from locust import events
from locust.env import Environment
from locust.event import EventHook

wrong_answer = EventHook()
"""Fired with `name`, the row of the table, and `reason`."""

_LOG = logging.getLogger("loadtest")
_wrong: Counter[str] = Counter()


@wrong_answer.add_listener  # type: ignore[untyped-decorator]
def count(name: str, reason: str) -> None:
    """Note a wrong answer; the first of a row is logged in full."""
    if name not in _wrong:
        _LOG.error("wrong answer: %s: %s", name, reason)
    _wrong[name] += 1


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: object) -> None:
    """Fail a run with a wrong answer, and one that did not send what its users are for."""
    for name, number in _wrong.items():
        _LOG.error("wrong answers: %d of %s", number, name)
    sent = {name for name, _ in environment.stats.entries}
    wanted = [name for user in environment.user_classes for name in getattr(user, "sends", ())]
    missing = sorted(set(wanted) - sent)
    if missing:
        _LOG.error("never sent: %s", ", ".join(missing))
    if _wrong or missing:
        environment.process_exit_code = 1
