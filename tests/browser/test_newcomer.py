"""After scripts/quickstart a newcomer finds the unknown cluster, labels it and sees it learned."""

import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as Late

from tests.browser.chromium import ROOT, open_tab
from tests.browser.map_view import map_view, places
from tests.e2e.quickstart_run import QuickstartRun, free_port
from training.data import load_source

pytestmark = [
    pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)
]  # fmt: skip

CLICKS = 10
NEW_LABEL = "9"
SECONDS = 120.0


@contextmanager
def quickstart(folder: Path) -> Iterator[str]:
    """Runs the quickstart until it serves for good; yields the address that it prints."""
    line = [sys.executable, "scripts/quickstart.py", "--folder", str(folder)]
    line += ["--port", str(free_port())]
    process = subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for text in process.stdout:
            said.append(text)
            if "Open http" in text:
                found.set()
        found.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert found.wait(500), "".join(said)
        address = re.search(r"Open (http://\S+)", "".join(said))
        assert address is not None, "".join(said)
        yield address[1]
    finally:
        process.terminate()
        process.wait(timeout=60)
        listener.join(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


class Newcomer:
    """Someone who sees the page, has two minutes and counts the clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        self._began = time.monotonic()

    def click(self, target: Locator) -> None:
        """One click on what is seen."""
        target.click(timeout=10_000)
        self.clicks += 1

    @property
    def seconds(self) -> float:
        """Since the page was opened."""
        return time.monotonic() - self._began


def test_a_newcomer_teaches_the_unknown_class(
    taught_quickstart: QuickstartRun, tmp_path: Path, browser: Browser
) -> None:
    # What the quickstart trains is trained once a session; from there on it runs anew.
    folder = taught_quickstart.as_trained(tmp_path / "quickstart")
    with quickstart(folder) as address, open_tab(browser) as tab:
        page = tab.page
        before = picture(address)
        assert not (before.answer == NEW_LABEL).any()
        newcomer = Newcomer(page)
        page.goto(address)
        page.evaluate("window.opened = 'once'")
        legend = page.get_by_role("region", name="Legend and filter")
        expect(legend.get_by_role("button", name=re.compile("^unknown class"))).to_be_visible()
        expect(legend.get_by_role("button", name=re.compile(r"^9\b"))).to_have_count(0)

        # Every group that the page calls out and that is nines: to it, into the field, its name.
        call = page.get_by_role("status").get_by_role("button", name=re.compile("^Show"))
        expect(call).to_be_visible()
        while newcomer.clicks < CLICKS - 3 and call.is_visible():
            # The watcher learns by itself: the next group may be known before it is clicked.
            with suppress(Late):
                newcomer.click(call)
            field = page.get_by_label("What are these?")
            if field.is_hidden() or what_is_seen(page) != NEW_LABEL:
                break
            newcomer.click(field)
            page.keyboard.type(NEW_LABEL)
            newcomer.click(page.get_by_role("button", name="Label", exact=True))
            expect(page.get_by_text("inputs selected")).to_have_count(0)
        expect(page.locator(".deed")).not_to_have_count(0)
        newcomer.click(page.get_by_role("button", name=re.compile("^Learn")).first)

        learned = legend.get_by_role("button", name=re.compile(r"^9\b"))
        expect(learned).to_be_visible(timeout=120_000)
        assert newcomer.clicks <= CLICKS
        assert newcomer.seconds < SECONDS
        assert page.evaluate("window.opened") == "once"

        # Nothing that was said is still to be learned.
        expect(page.locator(".deed.applied")).not_to_have_count(0)
        expect(page.locator(".deed.queued, .deed.claimed")).to_have_count(0)

        # Seen in its colour: as many points of the map have it as the legend says, where nines are.
        after = picture(address)
        nines = after.answer == NEW_LABEL
        expect(learned.locator(".number")).to_have_text(str(int(nines.sum())))
        trained = after.truth != ""
        assert nines[after.truth == NEW_LABEL].mean() > 0.75
        assert nines[trained & (after.truth != NEW_LABEL)].mean() < 0.02
        page.get_by_role("button", name="Show all").click()
        page.mouse.move(0, 0)
        assert share_in_colour(page, learned, after.xy[nines]) > 0.75


def what_is_seen(page: Page) -> str:
    """The digit that most thumbnails of the selection show, by their pixels."""
    thumbnails = page.get_by_role("group", name="Selected inputs").locator("img")
    expect(thumbnails.nth(3)).to_be_visible()
    pixels = thumbnails.evaluate_all(
        """all => all.map(one => {
          const canvas = new OffscreenCanvas(8, 8);
          const context = canvas.getContext("2d");
          context.imageSmoothingEnabled = false;
          context.drawImage(one, 0, 0, 8, 8);
          return Array.from(context.getImageData(0, 0, 8, 8).data).filter((_, i) => i % 4 === 0);
        })"""
    )
    digits = load_source("digits").train
    known = 255 * digits.x.reshape(len(digits.x), -1)
    seen = [digits.y[np.abs(known - one).sum(axis=1).argmin()] for one in np.array(pixels)]
    names, counts = np.unique(seen, return_counts=True)
    return str(names[counts.argmax()])


@dataclass(frozen=True, slots=True)
class Picture:
    """The points of the map, and what is answered of them.

    Attributes:
        xy: in units of the map, (n, 2).
        answer: label, or the decision where it is not known.
        truth: digit of a point that the quickstart trained on, which the service was not told; else
            empty.
    """

    xy: NDArray[np.float64]
    answer: NDArray[np.str_]
    truth: NDArray[np.str_]


def picture(address: str) -> Picture:
    """What a service of digits shows."""
    body = httpx.get(f"{address}/latent-map", timeout=60).content
    table = pa.ipc.open_stream(body).read_all()
    digits = load_source("digits").train.y
    names = table["point_id"].to_pylist()
    truth = [str(digits[int(one[2:])]) if one.startswith("r-") else "" for one in names]
    decision, label = (np.array(table[name].to_pylist()) for name in ("decision", "predicted"))
    return Picture(
        xy=places(table),
        answer=np.where(decision == "known", label, decision),
        truth=np.array(truth),
    )


def share_in_colour(page: Page, entry: Locator, xy: NDArray[np.float64]) -> float:
    """Share of points that are drawn in the colour of a legend's entry."""
    painted = entry.locator(".dot").evaluate("dot => getComputedStyle(dot).backgroundColor")
    colour = np.array([int(part) for part in re.findall(r"\d+", painted)[:3]])
    pixels = map_view(page).pixels(xy)
    with Image.open(io.BytesIO(page.screenshot())) as screen:
        rgb = np.asarray(screen.convert("RGB")).astype(np.int64)
    columns, rows = np.rint(pixels).astype(int).T
    # Points are a little transparent, and lie over each other.
    return float((np.abs(rgb[rows, columns] - colour).max(axis=1) < 48).mean())
