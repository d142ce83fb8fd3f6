"""The page of a service with keys: what a key opens, what it does not, and who decides.

The bundle is the small one of the service's tests, of 2 x 3 pixels: nothing is trained here.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from rcmvae.bundle import GateOutcome, GateReport, stage_bundle
from rcmvae.feedback import FeedbackStore, NewFeedback
from service.access import Scope
from tests.browser.axe import serious_faults
from tests.browser.chromium import Tab, open_tab
from tests.browser.digits_service import captures
from tests.e2e.served import Server, serving, wait_until
from tests.service.small_bundle import SHAPE, known_inputs, publish_small, small_draft
from tests.service.test_keys import added

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED = "the server responded with a status of 401"
"""What Chromium writes to the console where the page has no key yet."""
FIRST, HELD = "20261125T000000Z-00000001", "20261125T000000Z-00000002"


@dataclass(frozen=True, slots=True)
class Keyed:
    """A service with keys.

    Attributes:
        server: asked with the administrator's key.
        reader: a key that may look.
        labeller: one that may give labels that the bundle knows.
        admin: one that may do everything.
    """

    server: Server
    reader: str
    labeller: str
    admin: str


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    keys = folder / "keys.json"
    reader = added(keys, "rita", Scope.PREDICT)
    labeller = added(keys, "lena", Scope.PREDICT, Scope.FEEDBACK)
    admin = added(keys, "adam", Scope.ADMIN)
    publish_small(folder / "models", FIRST)
    _hold(folder / "models")
    with serving(folder, keys_file=str(keys), capture_flush_seconds="0.05") as running:
        server = replace(running, key=admin)
        wait_until(lambda: server.get("/readyz").status_code == 200, "ready")
        x = known_inputs(12, seed=5)
        answer = server.post("/predict", {"inputs": x.reshape(len(x), -1).tolist()})
        assert answer.status_code == 200, answer.text
        wait_until(lambda: captures(server) == len(x), "the inputs are on the map")
        yield Keyed(server, reader, labeller, admin)


def _hold(models: Path) -> None:
    """Stage a version that the gate wants a person to look at."""
    report = GateReport(
        outcome=GateOutcome.HOLD, reason="look at it", examples=4,
        parent_accuracy=1.0, candidate_accuracy=0.75, checks=(),
    )  # fmt: skip
    draft = small_draft(HELD, FIRST, extra=5)
    stage_bundle(models, replace(draft, lineage=draft.lineage.model_copy(update={"gate": report})))


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with open_tab(browser, expected=REFUSED) as opened:
        yield opened


def enter(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use it").click()


def open_with(tab: Tab, keyed: Keyed, key: str) -> Page:
    """Open the page and type a key where it asks for one."""
    tab.page.goto(keyed.server.url)
    enter(tab.page, key)
    expect(tab.page.locator(".map")).to_have_attribute("data-points", re.compile(r"\d+"))
    return tab.page


def is_drawn(pictures: Locator) -> bool:
    """Whether pictures were fetched, and have pixels."""
    count: int = pictures.evaluate_all("all => all.filter(one => one.naturalWidth > 0).length")
    return 0 < count == pictures.count()


def test_every_view_works_with_a_key_that_may_look(keyed: Keyed, tab: Tab) -> None:
    page = tab.page
    page.goto(keyed.server.url)
    expect(page.get_by_role("dialog")).to_contain_text("The service asks for a key.")
    enter(page, "rcmvae_nonsense")
    expect(page.get_by_text("does not know this key")).to_be_visible()
    enter(page, keyed.reader)
    expect(page.locator(".map")).to_have_attribute("data-points", "15")
    expect(page.get_by_role("button", name="Key of")).to_have_text("Key of rita")

    # What an <img> and an EventSource could not be let in for.
    expect(page.get_by_role("img", name="the input to label")).to_be_visible()
    wait_until(lambda: is_drawn(page.locator(".card img")), "the channels' pictures")
    page.get_by_role("tab", name="Live").click()
    expect(page.locator(".chip.good")).to_have_text("live")
    wait_until(lambda: is_drawn(page.locator(".recent img")), "the pictures of recent answers")
    expect(page.locator(".recent li")).to_have_count(12)

    # What the key may not do is switched off, and says why.
    expect(page.locator("#learn")).to_be_disabled()
    page.get_by_role("tab", name="Learn").click()
    expect(page.get_by_role("button", name="Refit")).to_be_disabled()
    expect(page.locator(".refused")).to_contain_text("lacks the scope admin")
    expect(page.get_by_role("button", name="Promote")).to_be_disabled()
    page.get_by_role("tab", name="Label").click()
    expect(page.locator(".refused")).to_contain_text("lacks the scope feedback")
    expect(page.get_by_label("What is this?")).to_be_disabled()
    page.keyboard.press("1")
    expect(page.locator(".notice.bad")).to_contain_text("lacks the scope feedback")


def test_a_dialog_that_was_shut_stays_shut(keyed: Keyed, tab: Tab) -> None:
    tab.page.goto(keyed.server.url)
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    tab.page.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    # The page goes on asking.
    with tab.page.expect_response(lambda answer: answer.url.endswith("/events")) as answer:
        pass
    assert answer.value.status == 401
    expect(dialog).to_be_hidden()
    expect(tab.page.get_by_text("The service asks for a key.").first).to_be_visible()


def test_new_names_need_their_scope(keyed: Keyed, tab: Tab) -> None:
    page = open_with(tab, keyed, keyed.labeller)
    name = page.get_by_label("What is this?")
    name.fill("triangle")
    expect(page.locator(".refused")).to_contain_text("lacks the scope labels")
    expect(page.get_by_role("button", name="Label", exact=True)).to_be_disabled()
    name.fill("circle")
    page.keyboard.press("Enter")
    expect(page.locator(".deed.queued")).to_contain_text("1 × circle")
    with sqlite3.connect(keyed.server.folder / "feedback.db") as database:
        assert database.execute("SELECT author, label FROM feedback").fetchall() == [
            ("lena", "circle")
        ]


def hold_back(keyed: Keyed, grey: float) -> str:
    """Quarantine what tim says of a grey input; returns its feedback id."""
    with FeedbackStore.open(keyed.server.store_url) as store:
        (doubted,) = store.add(
            [NewFeedback("square", np.full(SHAPE, grey, np.float32))], author="tim"
        )
        claim = store.claim(worker="w", limit=99, lease=timedelta(minutes=1))
        assert claim is not None
        store.quarantine(claim.token, [doubted.feedback_id], "others call that region circle")
        store.release(claim.token)
    return doubted.feedback_id


def dispute(keyed: Keyed, grey: float) -> str:
    """Let tim and lena disagree about a grey input; returns the id of what lena says, later."""
    x = np.full(SHAPE, grey, np.float32)
    with FeedbackStore.open(keyed.server.store_url) as store:
        store.add([NewFeedback("square", x)], author="tim")
        (later,) = store.add([NewFeedback("circle", x)], author="lena")
    return later.feedback_id


def test_an_administrator_accepts_what_was_held_back(keyed: Keyed, tab: Tab) -> None:
    feedback_id = hold_back(keyed, 0.5)
    page = open_with(tab, keyed, keyed.labeller)
    page.get_by_role("tab", name="Feedback 1").click()
    item = page.get_by_role("list", name="Held back").get_by_role("listitem")
    expect(item).to_contain_text("square by tim")
    expect(item).to_contain_text("others call that region circle")
    expect(item.get_by_role("button", name="Accept")).to_be_disabled()
    expect(page.locator(".refused")).to_contain_text("lacks the scope admin")
    page.get_by_role("button", name="Key of").click()
    enter(page, keyed.admin)
    item.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Nothing is held back.")).to_be_visible()
    expect(page.get_by_role("tab", name="Feedback")).to_have_text("Feedback")
    assert keyed.server.get(f"/feedback/{feedback_id}").json()["status"] == "queued"

    # A batch at once, by two clicks.
    batch = [hold_back(keyed, grey) for grey in (0.6, 0.65)]
    page.get_by_role("button", name="Waiting").click()
    page.get_by_role("button", name="Held back").click()
    page.get_by_role("button", name="Accept all 2").click()
    page.get_by_role("button", name="Sure? Accept 2").click()
    expect(page.get_by_text("Accepted: 2 labels.")).to_be_visible()
    expect(page.get_by_text("Nothing is held back.")).to_be_visible()
    states = [keyed.server.get(f"/feedback/{one}").json()["status"] for one in batch]
    assert states == ["queued", "queued"]


def test_a_dispute_is_listed_and_settled(keyed: Keyed, tab: Tab) -> None:
    feedback_id = dispute(keyed, 0.25)
    page = open_with(tab, keyed, keyed.admin)
    page.get_by_role("tab", name="Feedback").click()
    page.get_by_role("button", name="In conflict").click()
    voices = page.locator(".voices > li")
    expect(voices).to_have_count(2)
    expect(voices.nth(0)).to_contain_text("circle by lena")
    expect(voices.nth(0)).to_contain_text("prevails")
    expect(voices.nth(1)).to_contain_text("square by tim")
    voices.nth(0).get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Nobody disagrees about an input.")).to_be_visible()
    assert keyed.server.get(f"/feedback/{feedback_id}").json()["status"] == "withdrawn"


def test_an_administrator_promotes_and_rolls_back(keyed: Keyed, tab: Tab) -> None:
    page = open_with(tab, keyed, keyed.admin)
    page.get_by_role("tab", name="Learn").click()
    held = page.locator(".versions li.held")
    expect(held).to_contain_text("from 11-25 00:00:00 · 0000")
    held.get_by_role("button", name="Promote").click()
    current = page.locator(".versions li.current b")
    expect(current).to_have_attribute("title", HELD)
    wait_until(lambda: _served(keyed) == HELD, "the held version is served")
    expect(page.locator(".served span").first).to_have_attribute("title", HELD)
    page.get_by_role("button", name="Roll back one").click()
    expect(current).to_have_attribute("title", FIRST)
    wait_until(lambda: _served(keyed) == FIRST, "the first version is served")
    expect(page.locator(".served span").first).to_have_attribute("title", FIRST)


def _served(keyed: Keyed) -> str:
    return str(keyed.server.get("/bundle").json()["bundle_version"])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault_where_somebody_decides(
    keyed: Keyed, browser: Browser, theme: str
) -> None:
    hold_back(keyed, 0.1 if theme == "light" else 0.2)
    dispute(keyed, 0.7 if theme == "light" else 0.8)
    with open_tab(browser, theme, expected=REFUSED) as opened:
        page = open_with(opened, keyed, keyed.reader)
        page.get_by_role("tab", name="Feedback").click()
        expect(page.get_by_role("button", name="Accept").first).to_be_disabled()
        assert serious_faults(page) == []
        page.get_by_role("button", name="In conflict").click()
        expect(page.locator(".voices").first).to_be_visible()
        assert serious_faults(page) == []
        page.get_by_role("tab", name="Label").click()
        page.get_by_role("radio", name="Lasso").click()
        expect(page.get_by_role("radio", name="Add to the selection")).to_be_visible()
        assert serious_faults(page) == []
