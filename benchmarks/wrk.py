"""wrk as the client: one request, sent again and again over some connections.

Debian and Ubuntu have it: ``apt-get install wrk``.
"""

import json
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import Unmeasurable

# The body comes from a file, since Lua's quoting of bytes is another thing to get wrong.
SAME_BODY = """
local file = assert(io.open({body}, "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = {media_type}
{headers}
file:close()
"""
_REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "seconds": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f}\\n',
    summary.requests, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


_PATIENCE = 30


class NoAnswer(Unmeasurable):
    """Nothing failed, and nothing came in time."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Attributes:
        name: of the files that hold it.
        body: of every request.
        media_type: of the body.
        connections: each sends one request after another.
        headers: names and values beside the type.
    """

    name: str
    body: bytes
    media_type: str
    connections: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back in one run.

    Attributes:
        requests: answered in full.
        seconds: of the run.
        errors: of connections, and answers of a status of 400 or more.
        p50_ms: median latency in milliseconds.
        p99_ms: 99th percentile.
        client_cores: CPU seconds of wrk itself, a second.
    """

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
    client_cores: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def require_wrk() -> str:
    """Where wrk is.

    Raises:
        SystemExit: nowhere.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk: expected on PATH, found nothing; Debian has it: apt-get install wrk")
    return found


def send(
    load: Load,
    url: str,
    seconds: float,
    folder: Path,
    script: str = SAME_BODY,
    *,
    on_last_core: bool = False,
) -> Answered:
    """Send a load for some time.

    Args:
        load: what to send.
        url: where to.
        seconds: for how long; wrk takes whole ones, at least one.
        folder: for the script and the body.
        script: in Lua, what makes requests of it; ``{body}``, ``{media_type}`` and ``{headers}``
            become text.
        on_last_core: keep wrk to one core, so that it disturbs no other.

    Raises:
        Unmeasurable: wrk failed, or a request did.
        NoAnswer: none came.
    """
    body, file = folder / f"{load.name}.body", folder / f"{load.name}.lua"
    body.write_bytes(load.body)
    # JSON's strings are Lua's for what a path and a media type can hold.
    quoted = {
        "{body}": json.dumps(str(body)),
        "{media_type}": json.dumps(load.media_type),
        "{headers}": "\n".join(
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in load.headers
        ),
    }
    for name, text in quoted.items():
        script = script.replace(name, text)
    file.write_text(script + _REPORT, encoding="utf-8")
    core = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0)))] if on_last_core else []
    line = [*core, require_wrk(), "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s"]
    # Its own patience is 2 s, after which a slow answer on a busy machine would be an error.
    line += ["--timeout", f"{_PATIENCE}s"]
    before = _children_seconds()
    done = subprocess.run(
        [*line, "-s", str(file), url], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unmeasurable(f"wrk {url}: {done.stderr.strip() or done.stdout.strip()}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    cores = (_children_seconds() - before) / said["seconds"]
    answered = Answered(**said, client_cores=cores)
    if answered.errors:
        raise Unmeasurable(
            f"{load.name} {url}: {answered.errors} errors, {answered.requests} answers"
        )
    if not answered.requests:
        raise NoAnswer(f"{load.name} {url}: no answer within {said['seconds']:.1f} s")
    return answered


def _children_seconds() -> float:
    """CPU time of the children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
