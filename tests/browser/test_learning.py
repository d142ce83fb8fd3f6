"""A new label appears after a relabel, in the page that asked for it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.digits_service import digits_service, watcher
from tests.e2e.served import Server
from tests.training.tiny import NEW_LABEL, TinyRun

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def server(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with digits_service(tiny, tmp_path_factory.mktemp("learning")) as running, watcher(running):
        yield running


def test_a_new_label_is_learned_without_a_reload(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.evaluate("window.opened = 'once'")
    assert NEW_LABEL not in server.get("/bundle").json()["labels"]

    page.locator("#show-unnamed").click()
    page.get_by_label("What are these?").fill(NEW_LABEL)
    page.keyboard.press("Enter")
    expect(page.get_by_text("inputs selected")).to_have_count(0)
    page.locator("#learn").click()
    expect(page.get_by_text(f"Learned: {NEW_LABEL}")).to_be_visible(timeout=120_000)
    expect(page.locator(".deed.applied")).to_be_visible()
    assert NEW_LABEL in server.get("/bundle").json()["labels"]

    assert page.evaluate("window.opened") == "once"
