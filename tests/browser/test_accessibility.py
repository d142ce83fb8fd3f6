"""Every view in both themes: no serious fault by axe, and the way by keyboard alone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import serious_faults
from tests.browser.chromium import open_tab
from tests.e2e.served import Server

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


def _queue(page: Page) -> None:
    expect(page.get_by_text("more wait")).to_be_visible()


def _selection(page: Page) -> None:
    page.get_by_role("button", name="Select all shown").click()
    expect(page.get_by_text("inputs selected")).to_be_visible()


def _learn(page: Page) -> None:
    page.get_by_role("tab", name="Learn").click()
    expect(page.get_by_text("What the labels rest on")).to_be_visible()


def _live(page: Page) -> None:
    page.get_by_role("tab", name="Live").click()
    expect(page.get_by_text("Recent answers")).to_be_visible()


def _feedback(page: Page) -> None:
    page.get_by_role("tab", name="Feedback").click()
    expect(page.get_by_role("button", name="Held back")).to_be_visible()


def _numbers(page: Page) -> None:
    page.get_by_label("Colour by").select_option("total")
    expect(page.get_by_text("at least")).to_be_visible()


def _table(page: Page) -> None:
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("region", name="Inputs")).to_be_visible()


def _key(page: Page) -> None:
    page.get_by_role("button", name="Enter a key").click()
    expect(page.get_by_label("API key")).to_be_visible()


VIEWS: tuple[Callable[[Page], None], ...] = (
    _queue, _selection, _learn, _live, _feedback, _numbers, _table, _key,
)  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_view(
    browser: Browser, server: Server, theme: str
) -> None:
    with open_tab(browser, theme) as tab:
        tab.page.goto(server.url)
        expect(tab.page.locator("html")).to_have_attribute("data-theme", theme)
        faults = {}
        for view in VIEWS:
            view(tab.page)
            faults[view.__name__] = serious_faults(tab.page)
        assert faults == {view.__name__: [] for view in VIEWS}


def test_axe_finds_a_fault_that_is_put_in(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.evaluate(
        "document.querySelector('h1').insertAdjacentHTML('afterend', '<img src=\"data:,\">')"
    )
    assert any(fault.startswith("image-alt") for fault in serious_faults(page))


def test_a_point_is_found_and_chosen_by_keyboard_alone(server: Server, page: Page) -> None:
    page.goto(server.url)
    expect(page.get_by_text("more wait")).to_be_visible()
    page.get_by_role("button", name="Table").press("Enter")
    boxes = page.get_by_role("checkbox")
    boxes.nth(1).press("Space")
    boxes.nth(4).press("Space")
    expect(page.get_by_text("2 inputs selected")).to_be_visible()
    page.keyboard.press("Escape")
    boxes.nth(1).press("Space")
    expect(page.get_by_text("1 input selected")).to_be_visible()


def test_without_webgl_the_map_is_a_table(browser: Browser, server: Server) -> None:
    with open_tab(browser) as tab:
        tab.page.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
            "  return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
        )
        tab.page.goto(server.url)
        expect(tab.page.get_by_text("This browser has no WebGL 2")).to_be_visible()
        expect(tab.page.get_by_role("row").nth(5)).to_be_visible()
