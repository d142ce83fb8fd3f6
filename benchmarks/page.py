"""How long the page takes to draw many points and to select among them, without a graphics card.

python -m benchmarks.page --points 100000 --runs 5

Debian's Chromium, headless, draws in software (SwiftShader). The page is the built one; the points
are random, in as many clusters as a map of digits has, and come over loopback in the Arrow stream
of the service. A run is a new profile. In seconds:

first_frame   from the answer of /latent-map until the points are drawn
lasso         from the end of the drag until the selection is drawn
lasso_search  the part of it that finds the points
open          from the address until the points are drawn

and `memory` is what the page's process holds after the lasso, in MB (its share of pages, PSS).
Drawn means that a pixel can be read back, so that the software renderer has done its work.
"""

import argparse
import io
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from playwright.sync_api import Browser, Page, sync_playwright
from tqdm import tqdm

from benchmarks.result import Result, figures_of, print_figures, provenance, write_result

FOLDER = Path(__file__).resolve().parent.parent / "service" / "web" / "page"
CLUSTERS = 40
LABELS = [str(digit) for digit in range(10)]
VERSION = "benchmark"
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
SIZE = (1440, 900)

_DRAWN = "performance.getEntriesByName('map-drawn').at(-1)?.startTime ?? 0"
_SELECTED = "performance.getEntriesByName('selecting').at(-1)?.startTime ?? 0"
_PIXEL = """() => {
  const gl = document.querySelector("#map-canvas").getContext("webgl2");
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return performance.now();
}"""
_SEARCH = "performance.getEntriesByName('selected').at(-1).duration"
_ANSWERED = (
    "performance.getEntriesByType('resource')"
    ".find((one) => one.name.includes('latent-map')).responseEnd"
)


@dataclass(frozen=True, slots=True)
class Times:
    """Of one run, in seconds, and its MB; see the module."""

    first_frame: float
    lasso: float
    lasso_search: float
    open: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args(given)
    origin = provenance("page", given)
    stream = points_stream(options.points)
    with serving(stream) as address:
        runs = [one_run(address, options.points) for _ in tqdm(range(options.runs), disable=None)]
    result = Result(
        commit=origin.commit,
        command=origin.command,
        seeds=tuple(range(options.runs)),
        config={"points": options.points, "width": SIZE[0], "height": SIZE[1]},
        figures=figures_of([asdict(run) for run in runs]),
    )
    print_figures(result.figures)
    if options.json:
        write_result(result, options.json)
    return 0


def points_stream(count: int) -> bytes:
    """Random points in clusters, in the columns of GET /latent-map."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, CLUSTERS, count)
    centre = rng.uniform(-1, 1, (CLUSTERS, 2))
    xy = (centre[cluster] + 0.04 * rng.standard_normal((count, 2))).astype(np.float32)
    label = np.array(LABELS)[cluster % len(LABELS)]
    decision = np.where(cluster == 0, "unknown_class", "known")
    numbers = {
        name: pa.array(rng.random(count, dtype=np.float32))
        for name in ("total", "aleatoric", "epistemic", "p_familiar", "p_owned")
    }
    table = pa.table(
        {
            "point_id": pa.array([f"r-{i}" for i in range(count)]),
            "source": _coded(np.full(count, "reference")),
            "x": pa.array(xy[:, 0]),
            "y": pa.array(xy[:, 1]),
            "label": pa.array([None] * count, pa.string()).dictionary_encode(),
            "predicted": _coded(label),
            "channel": pa.array(cluster.astype(np.int16)),
            **numbers,
            "decision": _coded(decision),
            "created": pa.array(np.full(count, 1_700_000_000_000), pa.timestamp("ms", "UTC")),
            "bundle_version": _coded(np.full(count, VERSION)),
        }
    ).replace_schema_metadata({"bundle_version": VERSION, "labels": json.dumps(LABELS)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def one_run(address: str, count: int) -> Times:
    """Open the page in a new browser, and draw around a third of the map."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=[*FLAGS]
        )
        try:
            return _timed(browser, address, count)
        finally:
            browser.close()


def _timed(browser: Browser, address: str, count: int) -> Times:
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector(f"[data-points='{count}'][data-camera]")
    page.wait_for_function(f"({_DRAWN}) > 0")
    drawn, answered = page.evaluate(_PIXEL), page.evaluate(_ANSWERED)
    page.get_by_role("radio", name="Lasso").click()
    _lasso(page)
    page.wait_for_function(f"({_SELECTED}) > 0 && ({_DRAWN}) > ({_SELECTED})")
    lasso = page.evaluate(_PIXEL) - page.evaluate(_SELECTED)
    return Times(
        first_frame=(drawn - answered) / 1000,
        lasso=lasso / 1000,
        lasso_search=page.evaluate(_SEARCH) / 1000,
        open=drawn / 1000,
        memory=_largest_renderer(browser),
    )


def _lasso(page: Page) -> None:
    turns = np.linspace(0, 2 * np.pi, 40)
    places = [(450 + 250 * np.cos(turn), 480 + 250 * np.sin(turn)) for turn in turns]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def _largest_renderer(browser: Browser) -> float:
    """MB of the process that holds the page; the others are spare."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return max(_megabytes(int(one["id"])) for one in found if one["type"] == "renderer")


def _megabytes(process: int) -> float:
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    (line,) = (line for line in text.splitlines() if line.startswith("Pss:"))
    return float(line.split()[1]) / 1000


@contextmanager
def serving(stream: bytes) -> Iterator[str]:
    """A server of the built page and of the points, on a free port; yields its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            file = FOLDER / (path.lstrip("/") or "index.html")
            if path == "/latent-map":
                self._send(200, stream, "application/vnd.apache.arrow.stream")
            elif file.is_file():
                self._send(200, file.read_bytes(), TYPES.get(file.suffix, "text/plain"))
            else:
                self._send(404, b"{}", "application/problem+json")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _send(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _coded(values: np.ndarray[tuple[int], np.dtype[np.str_]]) -> pa.Array:
    return pa.array(values).dictionary_encode()


if __name__ == "__main__":
    sys.exit(main())
