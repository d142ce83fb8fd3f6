"""After scripts/quickstart a newcomer finds the unknown cluster, labels it and sees it learned."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as Late

from tests.browser.chromium import ROOT, open_tab
from tests.e2e.quickstart_run import QuickstartRun, free_port

pytestmark = [
    pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)
]  # fmt: skip

CLICKS = 10
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
        newcomer = Newcomer(page)
        page.goto(address)
        page.evaluate("window.opened = 'once'")
        legend = page.get_by_role("region", name="Legend and filter")
        expect(legend.get_by_role("button", name=re.compile("^unknown class"))).to_be_visible()
        expect(legend.get_by_role("button", name=re.compile(r"^9\b"))).to_have_count(0)

        # Every group that the page calls out: to it, and its name.
        call = page.locator("#show-unnamed")
        expect(call).to_be_visible()
        while newcomer.clicks < CLICKS - 2 and call.is_visible():
            # The watcher learns by itself: the next group may be known before it is clicked.
            with suppress(Late):
                newcomer.click(call)
            field = page.get_by_label("What are these?")
            if field.is_hidden():
                break
            field.fill("9")
            newcomer.click(page.get_by_role("button", name="Label", exact=True))
            expect(page.get_by_text("inputs selected")).to_have_count(0)
        newcomer.click(page.locator("#learn"))

        learned = legend.get_by_role("button", name=re.compile(r"^9\b"))
        expect(learned).to_be_visible(timeout=120_000)
        count = int(learned.locator(".number").inner_text())
        assert count > 50
        assert newcomer.clicks <= CLICKS
        assert newcomer.seconds < SECONDS
        assert page.evaluate("window.opened") == "once"
