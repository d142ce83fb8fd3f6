"""The page over vectors: no pictures anywhere, their values in place of them."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.digits_service import captures
from tests.browser.map_view import map_view, places
from tests.e2e.served import Server, serving, wait_until
from tests.training.tiny import run_main, set_flags
from training.data import load_source

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]

SETTINGS = (
    "model.features=16",
    "model.decoder_hidden=16",
    "fit.epochs=8",
    "fit.restarts=0",
    "fit.threads=1",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of wines, hardly trained: what the page shows of them is the point here."""
    folder = tmp_path_factory.mktemp("wine")
    flags = ["--data", "wine", "--labels", "9", "--quiet", *set_flags(SETTINGS)]
    run_main("train", str(folder / "run"), *flags)
    run_main("export", str(folder / "run"), "--models", str(folder / "models"))
    with serving(folder, capture_flush_seconds="0.05") as running:
        wait_until(lambda: running.get("/readyz").status_code == 200, "ready")
        x = load_source("wine").train.x[:12]
        answer = running.post("/predict", {"inputs": x.tolist()})
        assert answer.status_code == 200, answer.text
        wait_until(lambda: captures(running) == len(x), "the inputs are on the map")
        yield running


def three_digits(value: float) -> str:
    """As the page writes a number between 0.001 and 1000."""
    return f"{float(f'{value:.3g}'):g}"


def test_values_stand_where_pictures_would(server: Server, page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(server.url)
    (first,) = server.get("/candidates?count=1&include=input").json()["candidates"]
    shown = page.get_by_label("Values of the input")
    expect(shown).to_be_visible()
    expect(shown.locator("dt").first).to_have_text("alcohol")
    expect(shown.locator("dd").first).to_have_text(three_digits(first["input"][0]))
    expect(page.get_by_role("list", name="Channel cards").get_by_role("button")).not_to_have_count(
        0
    )

    # One input of the table, then several beside each other.
    page.get_by_role("button", name="Table").click()
    page.get_by_label("Order").select_option("total")
    table = pa.ipc.open_stream(server.get("/latent-map").content).read_all()
    strangest = np.argsort(-table["total"].to_numpy(), kind="stable")[:2]
    ids = [table["point_id"][int(row)].as_py() for row in strangest]
    values = [np.ravel(server.get(f"/points/{name}").json()["input"]) for name in ids]
    page.get_by_role("checkbox").nth(0).check()
    expect(shown.locator("dd").nth(1)).to_have_text(three_digits(values[0][1]))
    page.get_by_role("checkbox").nth(1).check()
    row = page.get_by_role("region", name="Values of the selected").get_by_role("row").nth(1)
    expect(row.get_by_role("rowheader")).to_have_text("malic_acid")
    found = set(row.get_by_role("cell").all_inner_texts())
    assert found == {three_digits(each[1]) for each in values}

    for name in ("Learn", "Live", "Feedback"):
        page.get_by_role("tab", name=name).click()
    expect(page.get_by_text("Nothing is held back.")).to_be_visible()
    assert not [url for url in requests if "thumbnails" in url or "/image" in url]


def test_hovering_tells_the_values(server: Server, page: Page) -> None:
    table = pa.ipc.open_stream(server.get("/latent-map").content).read_all()
    page.goto(server.url)
    shown = page.locator(".map")
    expect(shown).to_have_attribute("data-points", str(len(table)))
    expect(page.get_by_role("list", name="Channel cards")).to_be_visible()
    view = map_view(page)
    pixels = view.pixels(places(table))
    # The point with most room around it, away from the legend.
    distance = np.linalg.norm(pixels[:, None] - pixels[None], axis=2) + 1e9 * np.eye(len(pixels))
    room = np.where(pixels[:, 0] < view.left + view.width - 300, distance.min(axis=1), 0)
    alone = int(room.argmax())
    page.mouse.move(*pixels[alone])
    values = np.ravel(server.get(f"/points/{table['point_id'][alone].as_py()}").json()["input"])
    card = page.locator(".hover-card")
    expect(card.get_by_label("Values of the input").locator("dd").nth(0)).to_have_text(
        three_digits(values[0])
    )
    expect(card).to_contain_text("and 3 more")


def test_values_are_typed_and_answered(server: Server, page: Page) -> None:
    wine = load_source("wine").train
    typed = [float(f"{value:.6g}") for value in wine.x[30].tolist()]
    page.goto(server.url)
    page.get_by_role("tab", name="Live").click()
    fields = page.get_by_role("group", name="Values to try").get_by_role("textbox")
    expect(fields).to_have_count(len(typed))
    # Those of some input of the map are there to begin with.
    expect(fields.last).to_have_value(re.compile(r"\d"))
    for field, value in zip(fields.all(), typed, strict=True):
        field.fill(str(value))
    with page.expect_request(lambda request: request.url.endswith("/predict")) as request:
        page.keyboard.press("Enter")
    sent = json.loads(request.value.post_data or "")["inputs"]
    np.testing.assert_allclose(sent, [typed])
    response = request.value.response()
    assert response is not None
    prediction = response.json()["predictions"][0]

    decision = prediction["ood"]["decision"]
    verdict = prediction["label"] if decision == "known" else decision.replace("_", " ")
    expect(page.locator(".verdict")).to_have_text(verdict)
    expect(page.get_by_text("Unsure about:")).to_be_visible()
    decoded = server.post("/reconstruct?channels=1", {"inputs": [typed]}).json()
    best = decoded["reconstructions"][0][0]
    rows = page.get_by_role("region", name="Values and what is decoded").get_by_role("row")
    expect(rows.nth(0)).to_contain_text(f"as channel {prediction['channel']}")
    expect(rows.nth(1)).to_contain_text(
        f"alcohol{three_digits(typed[0])}{three_digits(best['values'][0])}"
        f" ± {three_digits(best['sigma'][0])}"
    )

    # What is no number is not sent, and is named.
    fields.nth(1).fill("red")
    expect(page.get_by_text("malic_acid: type a number.")).to_be_visible()
    expect(page.get_by_role("button", name="Ask")).to_be_disabled()
    paste(fields.first, "\t".join(str(value) for value in wine.x[60].tolist()))
    expect(fields.nth(1)).to_have_value(f"{wine.x[60][1]:.6g}")
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()
    paste(fields.first, "1 2 3")
    expect(page.locator(".notice.bad")).to_contain_text("13 values, and these are 3")


def paste(field: Locator, text: str) -> None:
    field.evaluate(
        """(field, text) => {
          const data = new DataTransfer();
          data.setData("text/plain", text);
          const bubbles = { clipboardData: data, bubbles: true, cancelable: true };
          field.dispatchEvent(new ClipboardEvent("paste", bubbles));
        }""",
        text,
    )
