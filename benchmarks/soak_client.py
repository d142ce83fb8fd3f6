"""Clients of the kill soak: they post labels and take some back, each until it is acknowledged."""

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import httpx
import numpy as np
from numpy.typing import NDArray

MOST_ITEMS = 3
TAKEN_BACK = 0.1
"""Share of the labels that are withdrawn later."""
SAID_AGAIN = 0.1
"""Share of the acknowledged requests that are sent once more, under the same key."""
PAUSE = 0.4
"""Seconds between two requests of one client, at most."""
_AGAIN_SECONDS = 0.1
_AGAIN = (409, 503)
"""Answers after which the same request is sent again."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled inputs to draw from: x (n, ...) float32, and a label name each."""

    x: NDArray[np.float32]
    label: list[str]


class Reply(NamedTuple):
    """What a request got, and when it came, by ``time.monotonic``; status 0 where nothing came."""

    at: float
    seconds: float
    status: int


@dataclass(slots=True)
class Said:
    """What one client was told.

    Attributes:
        labels: by feedback id, of everything that was acknowledged.
        inputs: posted for it, by feedback id.
        taken_back: ids of which the withdrawal was acknowledged.
        sent_again: requests that got no answer or were put off, and were sent again.
        unlike: requests said again whose reply was not the first one.
        replies: to everything that was sent, in order.
    """

    labels: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    sent_again: int = 0
    unlike: int = 0
    replies: list[Reply] = field(default_factory=list)

    @property
    def standing(self) -> set[str]:
        """Ids that are to be in the bundle at the end."""
        return set(self.labels) - self.taken_back


class Client:
    """One person who labels, in a thread of his own.

    Args:
        url: of the service, which may be away at any time.
        examples: what he labels.
        seed: of everything that is drawn.
    """

    def __init__(self, url: str, examples: Examples, seed: int) -> None:
        self.said = Said()
        self._url = url
        self._examples = examples
        self._chance = random.Random(seed)
        self._rng = np.random.default_rng(seed)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> Said:
        """Finish the request in hand, and return everything that was acknowledged.

        Raises:
            BaseException: whatever ended the thread before.
        """
        self._stop.set()
        self._thread.join()
        self.require_well()
        return self.said

    def require_well(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=30) as http:
                while not self._stop.wait(self._chance.uniform(0.0, PAUSE)):
                    self._label(http)
                    if self.said.labels and self._chance.random() < TAKEN_BACK * MOST_ITEMS / 2:
                        self._take_back(http)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for this thread
            self._error = error

    def _label(self, http: httpx.Client) -> None:
        """Post labels of new inputs under a new key."""
        drawn = self._rng.integers(len(self._examples.x), size=self._chance.randint(1, MOST_ITEMS))
        # A little of its own in every pixel, so that no input comes twice.
        noise = self._rng.uniform(0.95, 1.0, (len(drawn), *self._examples.x.shape[1:]))
        x = (self._examples.x[drawn] * noise).astype(np.float32)
        labels = [self._examples.label[i] for i in drawn.tolist()]
        pairs = zip(x, labels, strict=True)
        body = {"items": [{"input": row.ravel().tolist(), "label": name} for row, name in pairs]}
        key = {"Idempotency-Key": str(UUID(bytes=self._rng.bytes(16)))}
        ids = self._acknowledged(http, "POST", "/feedback", body, key)
        for feedback_id, row, name in zip(ids, x, labels, strict=True):
            self.said.labels[feedback_id], self.said.inputs[feedback_id] = name, row
        if self._chance.random() < SAID_AGAIN:
            self.said.unlike += self._acknowledged(http, "POST", "/feedback", body, key) != ids

    def _take_back(self, http: httpx.Client) -> None:
        """Withdraw a label that was acknowledged at any time."""
        feedback_id = self._chance.choice(list(self.said.labels))
        self._acknowledged(http, "DELETE", f"/feedback/{feedback_id}")
        self.said.taken_back.add(feedback_id)

    def _acknowledged(
        self,
        http: httpx.Client,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> list[str]:
        """Send the same request until it is acknowledged; the ids that the 202 names.

        Raises:
            RuntimeError: an answer that is neither 202 nor a reason to come again, or that is 503
                and does not say when.
        """
        while True:
            reply = self._sent(http, method, path, body, headers)
            if reply is not None and reply.status_code == httpx.codes.ACCEPTED:
                answer = reply.json()
                return [item["feedback_id"] for item in answer.get("items", [answer])]
            if reply is not None and not _says_when(reply):
                raise RuntimeError(f"{method} {path}: expected 202, got {reply.text}")
            self.said.sent_again += 1
            time.sleep(_AGAIN_SECONDS)

    def _sent(
        self,
        http: httpx.Client,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str] | None,
    ) -> httpx.Response | None:
        """One try; None where the connection broke."""
        start, reply = time.monotonic(), None
        with suppress(httpx.TransportError):
            reply = http.request(method, path, json=body, headers=headers)
        end, status = time.monotonic(), 0 if reply is None else reply.status_code
        self.said.replies.append(Reply(end, end - start, status))
        return reply


def _says_when(reply: httpx.Response) -> bool:
    """Whether the same request is to come again, and the answer says when."""
    return reply.status_code in _AGAIN and "retry-after" in reply.headers
