"""Debian's Chromium, headless, and one tab of it that must not complain."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 1440, 900

# Without a graphics card; and without asking for hosts that no test needs.
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000.0
"""Milliseconds that a step may take; a loaded machine draws slowly."""


def executable() -> str:
    """Path of Chromium; a test without one is skipped, but never under CI."""
    found = shutil.which("chromium")
    if found is None:
        reason = "no chromium on this machine: apt-get install chromium"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    path = executable()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*FLAGS])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A tab, and what it complained of.

    Attributes:
        page: of Playwright.
        complaints: uncaught errors, and errors of the console: refused by the policy, not found.
        expected: a part of errors that a test brings about itself.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: str | None = None

    def note(self, message: ConsoleMessage) -> None:
        """Keep an error of the console."""
        is_expected = self.expected is not None and self.expected in message.text
        if message.type == "error" and not is_expected:
            self.complaints.append(message.text)

    def fail(self, error: Error) -> None:
        """Keep an uncaught error."""
        self.complaints.append(str(error))


@contextmanager
def open_tab(browser: Browser, theme: str = "light", expected: str | None = None) -> Iterator[Tab]:
    """A tab in a profile of its own; at the end it must have had nothing to complain of."""
    dark = theme == "dark"
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    tab = Tab(context.new_page(), expected=expected)
    tab.page.on("console", tab.note)
    tab.page.on("pageerror", tab.fail)
    yield tab
    context.close()
    assert tab.complaints == []
