"""A real run that takes seconds: 400 digits, nines without a label, a network of a few thousand
weights.

It is trained and exported once a session by the command line itself; tests get copies.
"""

import contextlib
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_current
from rcmvae.feedback import FeedbackStore, NewFeedback
from training.__main__ import main
from training.config import RunConfig
from training.config_file import load_config
from training.data import Dataset, load_dataset, load_source
from training.gate import GateConfig
from training.recipe import settled
from training.relabel import Correction
from training.run import RunFolder

NEW_LABEL = "9"
STRICT = GateConfig(accuracy_drop=0.0, total_drop=0.0, class_drop=0.0, class_total_drop=0.0)
LENIENT = GateConfig(accuracy_drop=0.3, total_drop=0.3, class_drop=1.0, class_total_drop=1.0)
"""So small a network loses inputs to a new label; a test about something else allows that."""
SETTINGS = (
    "data.labels=45",
    'data.unlabelled_classes=["9"]',
    "data.limit=400",
    "data.held_out=200",
    "data.test=100",
    "model.filters=8",
    "model.features=64",
    "model.latent_dim=3",
    "model.embedding_dim=4",
    "model.decoder_hidden=32",
    "fit.epochs=80",
    "fit.restarts=0",
    "fit.batch=64",
    "fit.labelled_batch=32",
    "fit.checkpoint_epochs=5",
    "fit.threads=1",
    "calibration.count_views=3",
    # 200 held-out inputs are too few for the default of 0.01 to raise any alarm.
    "calibration.alpha=0.05",
)


@dataclass(frozen=True, slots=True)
class TinyRun:
    """A finished run and its bundle.

    Attributes:
        path: folder with ``run`` and ``models``; copy it before changing anything.
        trained: what `train` printed.
        exported: what `export` printed.
    """

    path: Path
    trained: str
    exported: str

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.path / "run")

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def bundle(self) -> Bundle:
        return load_current(self.models)

    def copy_models(self, target: Path) -> Path:
        """A copy of the models folder that a test may change."""
        return Path(shutil.copytree(self.models, target / "models"))


@cache
def tiny_config(*more: str) -> RunConfig:
    """The configuration of the tiny run, and what a test wants otherwise."""
    given = load_config(None, (*SETTINGS, *more))
    return settled(given, load_dataset(given.data, given.seed))


@cache
def tiny_dataset() -> Dataset:
    config = tiny_config()
    return load_dataset(config.data, config.seed)


def set_flags(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def run_main(*arguments: str) -> str:
    """Run a command that must succeed, and return what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(arguments) == 0
    return out.getvalue()


def make_tiny_run(path: Path) -> TinyRun:
    """Train and export."""
    run, models = str(path / "run"), str(path / "models")
    trained = run_main("train", run, "--quiet", *set_flags(SETTINGS))
    exported = run_main("export", run, "--models", models)
    return TinyRun(path, trained, exported)


def unseen(digit: int, count: int) -> NDArray[np.float32]:
    """Digits that are in no part of the tiny run's split, (count, 1, 8, 8)."""
    source, split = load_source("digits"), tiny_dataset().split
    parts = (split.unlabelled, split.density, split.calibration, split.test)
    others = np.setdiff1d(np.arange(len(source.train)), np.concatenate(parts))
    return source.train.take(others[source.train.y[others] == digit][:count]).x


def corrections(digit: int, count: int, label: str | None = None) -> list[Correction]:
    """Corrections of unseen digits, labelled rightly unless ``label`` says otherwise."""
    name = label or str(digit)
    return [Correction(f"{name}-{i}", name, x) for i, x in enumerate(unseen(digit, count))]


def post(store: FeedbackStore, items: Sequence[Correction]) -> list[str]:
    """Queue corrections and return their feedback ids."""
    return [
        record.feedback_id
        for record in store.add([NewFeedback(item.label, item.input) for item in items])
    ]


def wrong(digit: int, label: str, count: int = 40) -> list[Correction]:
    """Unseen digits, labelled wrongly."""
    return [
        replace(item, feedback_id=f"wrong-{label}-{i}")
        for i, item in enumerate(corrections(digit, count, label))
    ]


def everything_wrong() -> list[Correction]:
    return [c for digit in range(9) for c in wrong(digit, str((digit + 1) % 9))]
