"""Where the parts of a run lie: what `train` leaves behind and the other commands find."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, JSON."""
        return self.path / "config.json"

    @property
    def checkpoint(self) -> Path:
        """Weights, optimiser, counts and history of the last checkpoint, safetensors."""
        return self.path / "checkpoint.safetensors"

    @property
    def history(self) -> Path:
        """One record per epoch, JSON."""
        return self.path / "history.json"

    @property
    def split(self) -> Path:
        """Which inputs went where, safetensors of int64 indices."""
        return self.path / "split.safetensors"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"
