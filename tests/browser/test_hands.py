"""Keys alone, dragging, two fingers, drawing and dropping: what hands do on the page."""

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, Request, expect

from tests.browser.chromium import open_tab
from tests.browser.map_view import map_view
from tests.browser.stored import Stored
from tests.e2e.served import Server
from tests.training.tiny import unseen

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


def captures_of(server: Server, channel: int) -> tuple[set[str], int]:
    """Prediction ids of a channel's captures, and how many points it has in all."""
    table = pa.ipc.open_stream(server.get("/latent-map").content).read_all()
    of_channel = np.array(table["channel"].to_pylist()) == channel
    is_capture = np.array(table["source"].to_pylist()) == "capture"
    ids = np.array(table["point_id"].to_pylist())
    return set(ids[of_channel & is_capture].tolist()), int(of_channel.sum())


def test_the_queue_is_labelled_by_keys_alone(server: Server, page: Page) -> None:
    url = "/candidates?strategy=representatives&count=20"
    queue = [one["prediction_id"] for one in server.get(url).json()["candidates"]]
    stored = Stored(server)
    page.goto(server.url)
    expect(page.get_by_text("19 more wait")).to_be_visible()
    # Which keys there are comes with the bundle.
    expect(page.get_by_role("group", name="Labels").get_by_role("button")).to_have_count(9)
    page.keyboard.press("3")
    expect(page.get_by_text("18 more wait")).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("7")
    expect(page.get_by_text("17 more wait")).to_be_visible()
    expect(page.locator(".deed.queued")).to_have_count(2)
    page.keyboard.press("Control+z")
    expect(page.locator(".deed.withdrawn")).to_have_count(1)
    assert stored.rows == [(queue[0], "3", "queued"), (queue[2], "7", "withdrawn")]


def test_a_queue_that_got_no_answer_is_asked_for_again(server: Server, browser: Browser) -> None:
    with open_tab(browser, expected="the server responded with a status of 503") as tab:
        page = tab.page
        page.clock.install()
        problem = {"title": "Overloaded", "status": 503, "detail": "too many requests wait"}
        page.route(
            "**/candidates*",
            lambda route: route.fulfill(
                status=503, content_type="application/problem+json", body=json.dumps(problem)
            ),
            times=1,
        )
        page.goto(server.url)
        expect(page.get_by_text("No answer yet: too many requests wait")).to_be_visible()
        page.clock.fast_forward("00:10")
        expect(page.get_by_text("more wait")).to_be_visible()


def test_every_colour_has_its_legend(server: Server, page: Page) -> None:
    page.goto(server.url)
    chosen = page.get_by_label("Colour by")
    expect(chosen).to_be_visible()
    legend = page.get_by_role("region", name="Legend and filter")
    numbers = {"total", "aleatoric", "epistemic", "p_familiar", "p_owned", "created"}
    offered = set(chosen.locator("option").evaluate_all("all => all.map(one => one.value)"))
    assert offered >= {"label", "predicted", "channel", "bundle_version", *numbers}
    for by in sorted(offered):
        chosen.select_option(by)
        expect(legend.get_by_role("slider")).to_have_count(2 if by in numbers else 0)
        if by not in numbers:
            expect(legend.locator(".entry").first).to_be_visible()


def test_a_name_is_typed_without_a_click(server: Server, page: Page) -> None:
    stored = Stored(server)
    page.goto(server.url)
    expect(page.get_by_text("more wait")).to_be_visible()
    page.get_by_role("button", name="Table").press("Enter")
    page.get_by_label("Order").select_option("total")
    page.get_by_role("checkbox").first.press("Space")
    expect(page.get_by_text("1 input selected")).to_be_visible()
    # No label has this key: it is the beginning of a new name.
    page.locator("body").press("n")
    page.keyboard.type("ine")
    expect(page.get_by_label("What is this?")).to_have_value("nine")
    page.keyboard.press("Enter")
    expect(page.locator(".deed.queued")).to_contain_text("1 × nine")
    assert [row[1:] for row in stored.rows] == [("nine", "queued")]


def test_a_label_is_dragged_onto_a_channel_or_given_by_its_key(server: Server, page: Page) -> None:
    page.goto(server.url)
    cards = page.get_by_role("list", name="Channel cards").get_by_role("button")
    first, second = (int(cards.nth(n).get_attribute("data-channel") or "") for n in (0, 1))
    # Reference points have no prediction id.
    page.get_by_label("Colour by").select_option("source")
    page.get_by_role("button", name=re.compile("^reference")).click()

    stored = Stored(server)
    expected, _ = captures_of(server, first)
    cards.nth(0).click()
    expect(page.get_by_text(f"{len(expected)} inputs selected")).to_be_visible()
    page.keyboard.press("Escape")
    label = page.get_by_role("group", name="Labels").get_by_role("button", name="5", exact=True)
    label.drag_to(cards.nth(0))
    expect(page.locator(".deed.queued")).to_contain_text(f"{len(expected)} × 5")
    assert sorted(stored.rows) == sorted((name, "5", "queued") for name in expected)

    stored = Stored(server)
    expected, _ = captures_of(server, second)
    cards.nth(1).press("6")
    expect(page.locator(".deed.queued").first).to_contain_text(f"{len(expected)} × 6")
    assert sorted(stored.rows) == sorted((name, "6", "queued") for name in expected)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator(".deed.withdrawn")).to_have_count(2)


def test_text_from_elsewhere_is_no_label(server: Server, page: Page) -> None:
    stored = Stored(server)
    page.goto(server.url)
    card = page.get_by_role("list", name="Channel cards").get_by_role("button").first
    transfer = page.evaluate_handle(
        "() => { const it = new DataTransfer(); it.setData('text/plain', '5'); return it; }"
    )
    for event in ("dragover", "drop"):
        card.dispatch_event(event, {"dataTransfer": transfer})
    page.get_by_role("button", name="Lasso").or_(page.get_by_role("radio", name="Lasso")).click()
    assert stored.rows == []
    expect(page.locator(".deed")).to_have_count(0)


def touch(session: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_two_fingers_zoom_about_the_place_between_them(server: Server, page: Page) -> None:
    page.goto(server.url)
    expect(page.get_by_role("list", name="Channel cards")).to_be_visible()
    frame = map_view(page)
    x, y = frame.left + 300, frame.top + 250
    session = page.context.new_cdp_session(page)
    touch(session, "touchStart", (x - 20, y))
    touch(session, "touchStart", (x - 20, y), (x + 20, y))
    # From the first move on the map stays where hands put it, however its frame changes.
    touch(session, "touchMove", (x - 40, y), (x + 40, y))
    before = map_view(page)
    touch(session, "touchMove", (x - 80, y), (x + 80, y))
    after = map_view(page)
    assert after.zoom - before.zoom == pytest.approx(1)
    fixed = before.place((x, y))
    # Closer by two, the centre is half as far from what stays in its place.
    np.testing.assert_allclose(after.centre, np.add(before.centre, fixed) / 2, atol=1e-3)
    touch(session, "touchEnd", (x - 80, y))
    touch(session, "touchEnd")
    expect(page.get_by_text("selected")).to_have_count(0)


def sent_input(request: Request) -> NDArray[np.float64]:
    return np.array(json.loads(request.post_data or "")["inputs"][0])


def is_prediction(request: Request) -> bool:
    return request.url.endswith("/predict")


def expect_full_answer(page: Page, prediction: dict[str, Any]) -> None:
    """Answer, what it is unsure about and the reconstruction."""
    decision, label = prediction["ood"]["decision"], prediction["label"]
    verdict = label if decision == "known" else decision.replace("_", " ")
    expect(page.locator(".verdict")).to_have_text(verdict)
    expect(page.get_by_text("Unsure about:")).to_be_visible()
    expect(page.locator(".decodings figcaption").nth(1)).to_contain_text(
        f"channel {prediction['channel']}"
    )


def test_a_digit_is_drawn_and_answered(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.get_by_role("tab", name="Live").click()
    box = page.get_by_role("img", name="Draw an input").bounding_box()
    assert box is not None
    # A stroke down the middle, as of a one.
    x, top, bottom = (
        box["x"] + box["width"] / 2, box["y"] + 12, box["y"] + box["height"] - 12
    )  # fmt: skip
    with page.expect_request(is_prediction) as request:
        page.mouse.move(x, top)
        page.mouse.down()
        page.mouse.move(x, bottom, steps=6)
        page.mouse.up()
    drawn = sent_input(request.value).reshape(8, 8)
    middle = drawn[:, 3:5]
    assert middle.max() > 0.4
    assert (drawn[:, [0, 1, 6, 7]] == 0).all()
    response = request.value.response()
    assert response is not None
    expect_full_answer(page, response.json()["predictions"][0])


def test_a_picture_is_dropped_answered_and_labelled(server: Server, page: Page) -> None:
    digit = unseen(4, 1)[0, 0]
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * digit).astype(np.uint8)).save(file, "PNG")
    page.goto(server.url)
    page.get_by_role("tab", name="Live").click()
    transfer = page.evaluate_handle(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "four.png", { type: "image/png" }));
          return transfer;
        }""",
        base64.b64encode(file.getvalue()).decode(),
    )
    with page.expect_request(is_prediction) as request:
        page.locator(".pad-row").dispatch_event("drop", {"dataTransfer": transfer})
    np.testing.assert_allclose(sent_input(request.value), digit.ravel(), atol=0.06)
    response = request.value.response()
    assert response is not None
    prediction = response.json()["predictions"][0]
    expect_full_answer(page, prediction)

    stored = Stored(server)
    page.get_by_label("Wrong? What is it?").fill("4")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Label").click()
    expect(page.locator(".deed.queued")).to_contain_text("1 × 4")
    assert stored.rows == [(prediction["prediction_id"], "4", "queued")]


def test_what_is_no_picture_is_refused(server: Server, page: Page) -> None:
    page.goto(server.url)
    page.get_by_role("tab", name="Live").click()
    page.get_by_label("Open a picture").set_input_files(
        {"name": "four.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.locator(".notice.bad")).to_contain_text("reads no picture")


def test_a_telephone_shows_the_map_and_where_to_name(server: Server, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(server.url)
    shown = page.locator(".map")
    expect(shown).to_have_attribute("data-camera", re.compile(r"\d"))
    page.get_by_role("button", name=re.compile("^Show the|^Show and")).click()
    expect(page.get_by_label("What are these?")).to_be_in_viewport()
    expect(shown).to_be_in_viewport()
    box = shown.bounding_box()
    assert box is not None
    assert box["height"] >= 300
    for selector in ("main", "html"):
        room = page.locator(selector).evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert room[0] <= room[1] <= 390
