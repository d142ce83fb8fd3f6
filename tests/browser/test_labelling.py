"""What is drawn around on the map is what the store gets, no more and no less."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.browser.map_view import map_view, places
from tests.browser.stored import Stored
from tests.e2e.served import Server, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where the points of the map are on the screen, computed here and not by the page.

    Attributes:
        ids: of the points.
        xy: in pixels of the window, (n, 2).
    """

    ids: tuple[str, ...]
    xy: NDArray[np.float64]

    def inside(self, outline: Sequence[tuple[float, float]]) -> set[str]:
        """Points inside an outline, by Matplotlib."""
        within = Outline([*outline, outline[0]], closed=True).contains_points(self.xy)
        return {name for name, one in zip(self.ids, within, strict=True) if one}

    def fullest(self, radius: float, without: Set[str] = frozenset()) -> NDArray[np.float64]:
        """Of the points, but for some, the one with most others within so many pixels."""
        xy = self.xy[[name not in without for name in self.ids]]
        distance = np.linalg.norm(xy[:, None] - xy[None], axis=2)
        centre: NDArray[np.float64] = xy[(distance < radius).sum(axis=1).argmax()]
        return centre


def open_captures(server: Server, page: Page) -> Pixels:
    """Open the page and hide the reference points, whose ids the store does not keep."""
    table = pa.ipc.open_stream(server.get("/latent-map").content).read_all()
    page.goto(server.url)
    expect(page.locator(".map")).to_have_attribute("data-points", str(len(table)))
    expect(page.get_by_role("list", name="Channel cards")).to_be_visible()
    page.get_by_label("Colour by").select_option("source")
    page.get_by_role("button", name=re.compile("^reference")).click()
    captured = np.array(table["source"].to_pylist()) == "capture"
    ids = np.array(table["point_id"].to_pylist())[captured]
    return Pixels(tuple(ids.tolist()), map_view(page).pixels(places(table))[captured])


def drag(page: Page, outline: Sequence[tuple[float, float]]) -> None:
    page.mouse.move(*outline[0])
    page.mouse.down()
    for place in outline[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def around(
    centre: NDArray[np.float64], radius: float, sides: int = 14
) -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    return [(centre[0] + radius * np.cos(t), centre[1] + radius * np.sin(t)) for t in turns]


def test_lasso_then_key_stores_exactly_what_was_drawn_around(server: Server, page: Page) -> None:
    stored = Stored(server)
    shown = open_captures(server, page)
    outline = around(shown.fullest(60), 70)
    expected = shown.inside(outline)
    assert 5 < len(expected) < len(shown.ids) / 2

    page.get_by_role("radio", name="Lasso").click()
    drag(page, outline)
    expect(page.get_by_text(f"{len(expected)} inputs selected")).to_be_visible()
    page.keyboard.press("3")
    expect(page.locator(".deed.queued")).to_have_text(
        f"{len(expected)} × 3 stored, waits to be learned"
    )

    assert sorted(stored.rows) == sorted((name, "3", "queued") for name in expected)


def test_a_box_with_shift_adds_alt_takes_away_and_undo_takes_back(
    server: Server, page: Page
) -> None:
    stored = Stored(server)
    shown = open_captures(server, page)
    middle = shown.fullest(40)
    first = shown.inside(around(middle, 50))
    elsewhere = shown.fullest(40, without=first)
    (left, top), (right, bottom) = elsewhere - 50, elsewhere + 50
    box = [(left, top), (right, top), (right, bottom), (left, bottom)]
    outlines = [around(middle, 50), box, around(middle, 20)]
    first, added, removed = (shown.inside(outline) for outline in outlines)
    expected = (first | added) - removed
    assert len({frozenset(one) for one in (first, first | added, expected)}) == 3

    page.get_by_role("radio", name="Lasso").click()
    drag(page, outlines[0])
    page.get_by_role("radio", name="Box").click()
    page.keyboard.down("Shift")
    drag(page, [box[0], box[2]])
    page.keyboard.up("Shift")
    page.get_by_role("radio", name="Lasso").click()
    page.keyboard.down("Alt")
    drag(page, outlines[2])
    page.keyboard.up("Alt")
    expect(page.get_by_text(f"{len(expected)} inputs selected")).to_be_visible()
    page.get_by_label("What are these?").fill("a new kind")
    page.keyboard.press("Enter")
    expect(page.locator(".deed.queued")).to_be_visible()
    assert {row[:2] for row in stored.rows} == {(name, "a new kind") for name in expected}

    page.locator("h2").first.click()
    page.keyboard.press("Control+z")
    expect(page.locator(".deed.withdrawn")).to_be_visible()
    wait_until(lambda: {row[2] for row in stored.rows} == {"withdrawn"}, "every row withdrawn")
