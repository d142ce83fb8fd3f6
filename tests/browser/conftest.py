"""A browser, one tab of it, and a service of digits."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import chromium, open_tab
from tests.browser.digits_service import digits_service
from tests.e2e.served import Server
from tests.training.tiny import TinyRun


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this folder: Playwright's loop would be in the way of other tests' loops."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_tab(browser) as tab:
        yield tab.page


@pytest.fixture(scope="package")
def server(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that learn nothing: to start one takes longer than most of them."""
    with digits_service(tiny, tmp_path_factory.mktemp("digits")) as running:
        yield running
