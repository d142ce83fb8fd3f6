"""Feedback posts a second over HTTP, each durable, beside what the store takes by itself.

python -m benchmarks.feedback --models models --json feedback.json

Needs wrk. In every round the same posts go, in turn, into fresh SQLite files on the same disk:
through ``FeedbackStore.add``, one commit after another; through ``add_together``, half as many
posts a commit as there are connections, which is what a commit of the service holds, since the
others are read meanwhile; and over HTTP to one worker. Every post has a key of its own and inputs
that nobody sent before. Shares are formed within a round.

feedback_share          HTTP over ``add``: posts of one item
feedback_share_many     the same, posts of 32 items
group_share, _many      HTTP over ``add_together``, which nothing but the processor holds up
NAME_posts, NAME_items  a second
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import Result, add_options, figures_of, provenance, write_result
from benchmarks.server import launched
from benchmarks.wrk import Load, require_wrk, send
from rcmvae.bundle import load_current
from rcmvae.bundle.manifest import GOLDEN
from rcmvae.feedback import FeedbackStore, NewFeedback, Submission
from training.golden_set import read_golden

CONNECTIONS = 64
MANY = 32
_DECIMALS = 4
MARK = "@NUMBER@"
"""In the body, in place of the first digits of every input, and in the key: the post's number."""
_NUMBERED = """
local file = assert(io.open({body}, "rb"))
local body = file:read("*a")
file:close()
local number = {first}
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  number = number + 1
  local text = string.format("%09d", number)
  wrk.headers["Idempotency-Key"] = text
  return wrk.format(nil, nil, nil, (body:gsub({mark}, text)))
end
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feedback",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of one way in one round")
    add_options(parser)
    options = parser.parse_args(given)
    require_wrk()
    origin = provenance("feedback", given)
    rounds, seconds = (2, 1) if options.quick else (options.rounds, options.seconds)
    bundle = load_current(options.models)
    x = read_golden(bundle.read(GOLDEN)).examples.x[:MANY]
    label = bundle.manifest.labels[0]
    runs = []
    for _ in range(rounds):
        with TemporaryDirectory(prefix="feedback-") as folder:
            runs.append(one_round(options.models, Path(folder), x, label, seconds))
    figures = figures_of(runs)
    for name in figures:
        print(f"{name:<22} {median([float(run[name]) for run in runs]):10.3f}")
    if options.json is not None:
        config = {"connections": CONNECTIONS, "many": MANY, "seconds": seconds}
        result = Result(origin.commit, origin.command, tuple(range(rounds)), {**config}, figures)
        write_result(result, options.json)
    return 0


def one_round(
    models: Path, folder: Path, x: NDArray[np.float32], label: str, seconds: float
) -> Mapping[str, float]:
    """All figures of one round."""
    figures: dict[str, float] = {}
    environment = {
        "RCMVAE_MODELS_DIR": str(models.resolve()),
        "RCMVAE_STORE_URL": f"sqlite:///{folder / 'http.db'}",
        "RCMVAE_WORKERS": "1",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "bentoml", "serve", "service.app:RcmVae", "--port", "{port}"]
    with launched(command, folder / "server", environment) as server:
        _over_http(f"{server.url}/feedback", x[:1], label, 1, folder, first=0)  # opens the store
        for kind, items in (("", 1), ("_many", MANY)):
            part = x[:items]
            first = 10_000_000 * items
            single = _into_store(folder / f"single{kind}.db", part, label, seconds, together=1)
            group = _into_store(
                folder / f"group{kind}.db", part, label, seconds, together=CONNECTIONS // 2
            )
            http = _over_http(f"{server.url}/feedback", part, label, seconds, folder, first=first)
            figures |= {
                f"feedback_share{kind}": http / single,
                f"group_share{kind}": http / group,
                f"http{kind}_posts": http,
                f"http{kind}_items": http * items,
                f"store{kind}_posts": single,
                f"store_group{kind}_posts": group,
            }
    return figures


def _into_store(
    path: Path, x: NDArray[np.float32], label: str, seconds: float, *, together: int
) -> float:
    """Posts a second by this process, ``together`` of them by one commit."""
    numbers = count()
    with FeedbackStore.open(f"sqlite:///{path}") as store:
        store.add_together([submission_of(x, label, next(numbers))])
        start = time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            store.add_together([submission_of(x, label, next(numbers)) for _ in range(together)])
        return (next(numbers) - 1) / passed


def submission_of(x: NDArray[np.float32], label: str, number: int) -> Submission:
    """A post as the service makes it of a body: inputs that no other number has."""
    inputs = np.round(x, _DECIMALS).astype(np.float32)
    inputs.reshape(len(x), -1)[:, 0] = number / 1e9
    items = [NewFeedback(label, row, None, "v1") for row in inputs]
    body = hashlib.sha256(inputs.tobytes()).hexdigest()
    return Submission(items, idempotency_key=f"{number:09d}", body_sha256=body)


def body_of(x: NDArray[np.float32], label: str) -> bytes:
    """The same post as JSON, with `MARK` in the place of its number."""
    rows = np.round(x.reshape(len(x), -1).astype(np.float64), _DECIMALS).tolist()
    rest = [json.dumps(row[1:])[1:] for row in rows]
    items = [f'{{"input": [0.{MARK}, {text}, "label": {json.dumps(label)}}}' for text in rest]
    return f'{{"items": [{", ".join(items)}]}}'.encode()


def _over_http(
    url: str, x: NDArray[np.float32], label: str, seconds: float, folder: Path, *, first: int
) -> float:
    """Posts a second that were answered with 202."""
    script = _NUMBERED.replace("{mark}", json.dumps(MARK)).replace("{first}", str(first))
    load = Load(f"feedback-{len(x)}", body_of(x, label), "application/json", CONNECTIONS)
    return send(load, url, seconds, folder, script).rate


if __name__ == "__main__":
    sys.exit(main())
