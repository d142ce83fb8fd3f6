"""A browser, and a real service over a small real bundle of digits without the nine."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import chromium, open_tab
from tests.training.tiny import TinyRun, make_tiny_run


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this folder: Playwright's loop would be in the way of other tests' loops."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return make_tiny_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_tab(browser) as tab:
        yield tab.page
