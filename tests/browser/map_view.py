"""Where the points of the map are on the screen, computed here and not by the page."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from playwright.sync_api import Page

# The strip of channels and a call take room from the map, whose camera follows a frame later.
_SETTLED = """async () => {
  const map = document.querySelector(".map");
  const state = () => {
    const { x, y, width, height } = map.getBoundingClientRect();
    return JSON.stringify([x, y, width, height, map.dataset.camera]);
  };
  const frame = () => new Promise((go) => requestAnimationFrame(go));
  let before = null;
  for (let same = 0; same < 3; ) {
    await frame();
    const now = state();
    same = now === before && map.dataset.camera ? same + 1 : 0;
    before = now;
  }
  return JSON.parse(before);
}"""


@dataclass(frozen=True, slots=True)
class MapView:
    """The map's frame and its camera.

    Attributes:
        left, top, width, height: of the frame, in pixels of the window.
        centre: of what is seen, in units of the map.
        zoom: pixels a unit, as a power of two.
    """

    left: float
    top: float
    width: float
    height: float
    centre: tuple[float, float]
    zoom: float

    def pixels(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places of the map in pixels of the window, (n, 2)."""
        shown: NDArray[np.float64] = (xy - self.centre) * 2**self.zoom * [1, -1] + self._middle
        return shown

    def place(self, pixel: tuple[float, float]) -> NDArray[np.float64]:
        """The place of the map under a pixel of the window."""
        place: NDArray[np.float64] = (pixel - self._middle) / 2**self.zoom * [1, -1] + self.centre
        return place

    @property
    def _middle(self) -> NDArray[np.float64]:
        return np.array([self.left + self.width / 2, self.top + self.height / 2])


def map_view(page: Page) -> MapView:
    """The map as it is drawn, once its frame and camera rest."""
    left, top, width, height, camera = page.evaluate(_SETTLED)
    x, y, zoom = (float(text) for text in camera.split())
    return MapView(left, top, width, height, (x, y), zoom)


def places(table: pa.Table) -> NDArray[np.float64]:
    """Where the points of /latent-map lie, in units of the map, (n, 2)."""
    columns = [table[name].to_numpy().astype(np.float64) for name in ("x", "y")]
    return np.stack(columns, axis=1)
