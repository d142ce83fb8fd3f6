"""A new label appears after a relabel, in the page that asked for it, and goes with a roll back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.digits_service import digits_service, watcher
from tests.e2e.served import Server
from tests.training.tiny import NEW_LABEL, TinyRun

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def server(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Without an alarm of drift, whose refit would bring versions that nobody here asked for.
    settings = {"drift_run_length": "1e12"}
    folder = tmp_path_factory.mktemp("learning")
    with digits_service(tiny, folder, **settings) as running, watcher(running):
        yield running


def test_a_new_label_is_learned_and_rolled_back_without_a_reload(
    server: Server, page: Page
) -> None:
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
    learned = server.get("/bundle").json()
    assert NEW_LABEL in learned["labels"]

    page.get_by_role("tab", name="Learn").click()
    before, after = counts(row(page, NEW_LABEL))
    assert before == 0 < after
    before_unknown, after_unknown = counts(row(page, "unknown class"))
    assert after_unknown < before_unknown
    table = page.get_by_role("region", name="What learning changed")
    total = sum(counts(one)[0] for one in table.locator("tbody").first.get_by_role("row").all())
    share = table.get_by_role("row", name=re.compile("^share unknown class"))
    expect(share.locator("td").first).to_have_text(f"{100 * before_unknown / total:.1f} %")
    expect(table.get_by_role("row", name=re.compile("^share out of distribution"))).to_be_visible()
    expect(table.get_by_role("row", name=re.compile("^right on the golden"))).to_contain_text("%")
    compared = page.locator(".compare")
    expect(compared).to_contain_text(f"New labels: {NEW_LABEL}")
    expect(compared.get_by_role("row", name=re.compile("^golden accuracy"))).not_to_have_count(0)

    # The watcher has nothing more to learn, and says what it has learned.
    page.locator("#learn").click()
    name = learned["bundle_version"]
    said = f"Already learned: version {name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]}"
    expect(page.get_by_role("status").get_by_text(said)).to_be_visible()

    expect(legend_of(page, NEW_LABEL)).to_be_visible()
    page.get_by_role("button", name="Roll back one").click()
    expect(legend_of(page, NEW_LABEL)).to_have_count(0)
    expect(legend_of(page, "unknown class")).to_contain_text(str(before_unknown))
    assert counts(row(page, NEW_LABEL)) == (after, before)
    current = page.locator(".versions li.current")
    expect(current).to_have_count(1)
    served = server.get("/bundle").json()
    assert served["bundle_version"] == learned["parent_version"]
    expect(current.locator("b")).to_have_attribute("title", served["bundle_version"])

    assert page.evaluate("window.opened") == "once"


def row(page: Page, answer: str) -> Locator:
    """The row of an answer in the table of what learning changed."""
    table = page.get_by_role("region", name="What learning changed")
    return table.get_by_role("row", name=re.compile(rf"^{answer}\b"))


def counts(one: Locator) -> tuple[int, int]:
    """Before and after."""
    before, after = one.locator("td").all_inner_texts()[:2]
    return int(before), int(after)


def legend_of(page: Page, answer: str) -> Locator:
    """What the legend says of an answer."""
    legend = page.get_by_role("region", name="Legend and filter")
    return legend.get_by_role("button", name=re.compile(rf"^{answer}\b"))
