"""One colour for every label, the same in all pictures."""

from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.lines import Line2D

Colour = tuple[float, float, float, float]

FREE: Colour = (0.75, 0.75, 0.75, 1.0)
"""Of a channel without a label, and of inputs without one."""
MAP_FAULT = "#c77700"
CHANNEL_FAULT = "#b3001b"
_GREY = 7


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of labels.

    Attributes:
        names: the labels.
    """

    names: tuple[str, ...]

    def of(self, label: str | None) -> Colour:
        """The colour of a label; grey for None."""
        if label is None:
            return FREE
        place, count = self.names.index(label), len(self.names)
        if count <= 10:
            # Black in place of the palette's grey, which is that of free channels here.
            return (0.1, 0.1, 0.1, 1.0) if place == _GREY else colormaps["tab10"](place)
        if count <= 20:
            return colormaps["tab20"](place)
        return colormaps["gist_rainbow"](place / count)

    def legend(self, text: tuple[str, ...]) -> list[Line2D]:
        """A dot for every label, called ``text``."""
        return [
            Line2D([], [], marker="o", linestyle="", color=self.of(name), label=said)
            for name, said in zip(self.names, text, strict=True)
        ]
