"""Shadow mode: a candidate scores live traffic beside the served bundle; only metrics see it."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Bundle, load_bundle, read_shadow
from rcmvae.decision import decide
from rcmvae.errors import BundleError
from rcmvae.prediction import PredictionBatch
from service.served import Served
from service.shadow_metrics import ShadowMetrics

MOST_ROWS = 64
"""Inputs of a worker that are scored in one step; the first of every second, the rest are not."""

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Inputs of one run, and what the served bundle answered."""

    served: Served
    x: NDArray[np.float32]
    labels: tuple[str, ...]
    p_familiar: NDArray[np.float64]
    p_owned: NDArray[np.float64]


class Shadow:
    """The candidate that the file SHADOW names, and the inputs that wait for it.

    An answer costs no more than a place in a list, and nothing where there is no candidate. A
    candidate that fails is dropped, with a line in the log, until another one is named.

    Args:
        models: folder of the bundles.
        open_served: opens and warms a verified bundle; blocks.
        metrics: of the differences.
        alpha: of the decisions that are compared; None for the served bundle's.
    """

    def __init__(
        self,
        models: Path,
        open_served: Callable[[Bundle], Served],
        metrics: ShadowMetrics,
        alpha: float | None,
    ) -> None:
        self._models = models
        self._open_served = open_served
        self._metrics = metrics
        self._alpha = alpha
        self._named: str | None = None
        self._candidate: Served | None = None
        self._waiting: list[_Seen] = []
        self._room = MOST_ROWS
        self._adding = threading.Lock()

    def add(self, served: Served, x: NDArray[np.float32], batch: PredictionBatch) -> None:
        """Remember what was answered for x, (N, *shape), as far as there is room."""
        candidate = self._candidate
        if candidate is None or candidate.version == served.version:
            return
        with self._adding:
            count = min(self._room, len(x))
            if count and candidate.manifest.input == served.manifest.input:
                self._room -= count
                self._waiting.append(
                    _Seen(
                        served,
                        x[:count].copy(),
                        tuple(batch.predicted[:count]),
                        batch.p_familiar[:count],
                        batch.p_owned[:count],
                    )
                )

    @property
    def has_work(self) -> bool:
        """Whether `score` has something to do."""
        return bool(self._waiting)

    def refresh(self) -> None:
        """Follow the file SHADOW; blocks."""
        try:
            named = read_shadow(self._models)
        except (BundleError, OSError) as error:
            named = None
            if self._named is not None:
                _log.warning("the file SHADOW cannot be read: %s", error)
        if named == self._named:
            return
        self._named, self._candidate = named, None
        if named is None:
            return
        try:
            self._candidate = self._open_served(load_bundle(self._models / named))
            _log.info("bundle %s scores live traffic in the shadow", named)
        except Exception as error:  # noqa: BLE001
            # Whatever a bundle does to ONNX Runtime, the service goes on.
            self._drop(named, error)

    def score(self) -> None:
        """Let the candidate score what waits, and count the differences; blocks."""
        with self._adding:
            waiting, self._waiting, self._room = self._waiting, [], MOST_ROWS
        candidate = self._candidate
        if candidate is None:
            return
        try:
            for seen in waiting:
                self._compare(seen, candidate.predictor.predict(seen.x))
        except Exception as error:  # noqa: BLE001
            self._drop(candidate.version, error)

    def _compare(self, seen: _Seen, batch: PredictionBatch) -> None:
        alpha = self._alpha or seen.served.predictor.calibration.alpha
        before = decide(seen.p_familiar, seen.p_owned, alpha)
        after = decide(batch.p_familiar, batch.p_owned, alpha)
        self._metrics.observe(
            inputs=len(seen.x),
            labels=_differing(seen.labels, batch.predicted),
            decisions=_differing(before, after),
            familiar=float(np.abs(seen.p_familiar - batch.p_familiar).sum()),
            owned=float(np.abs(seen.p_owned - batch.p_owned).sum()),
        )

    def _drop(self, version: str, error: Exception) -> None:
        self._candidate = None
        self._metrics.failures.inc()
        _log.error("bundle %s leaves the shadow: %s", version, error)


def _differing(before: Sequence[str], after: Sequence[str]) -> int:
    return sum(a != b for a, b in zip(before, after, strict=True))
