"""A browser, and one tab of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import chromium, open_tab


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this folder: Playwright's loop would be in the way of other tests' loops."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_tab(browser) as tab:
        yield tab.page
