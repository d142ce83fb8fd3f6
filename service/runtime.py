"""Everything one worker holds while it serves, made at start and taken down at the end."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from starlette.requests import Request

from rcmvae.provider import is_accelerated, machine_providers
from service.access.admission import Admission
from service.access.keyring import Keyring
from service.access.quota import parse_quota
from service.access.rate import Rates
from service.backlog import BacklogReader
from service.batching import Limits, MicroBatcher
from service.capture import CaptureBuffer
from service.capture_policy import CaptureChoice, CaptureRate
from service.drift import DriftWatch
from service.drift_answer import drift_answer
from service.event_feed import EventFeed
from service.event_source import LOOK_SECONDS, EventSource
from service.feedback_queue import FeedbackQueue
from service.hotswap import BundleWatcher
from service.in_flight import InFlight
from service.inference import Inference
from service.live_points import LivePoints
from service.log_form import form_logs
from service.metrics import MULTIPROCESS_VARIABLE, Metrics
from service.orphan import ParentWatch
from service.refit_on_drift import RefitOnDrift
from service.repeat import repeat
from service.served import open_served
from service.settings import Settings
from service.shadow import Shadow
from service.store import LazyStore

# Collections of the oldest generation stop the event loop for hundreds of milliseconds.
_GC_THRESHOLDS = (50_000, 20, 100)
# A thread that computes in Python, as one that opens a bundle, lets the event loop wait for so long
# at every turn; 5 ms unless set, which tripled the latency during a swap.
_SWITCH_SECONDS = 0.0005
_PARENT_SECONDS = 1.0
_FORGET_SECONDS = 30.0
_DRIFT_SECONDS = 1.0
_SHADOW_SECONDS = 1.0
_KEYS_SECONDS = 1.0
LARGE_BODY = 64 * 1024
"""Bodies of more bytes are read in the thread for large work rather than on the event loop."""

_Result = TypeVar("_Result")

_log = logging.getLogger("bentoml.rcmvae")


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of a running worker.

    Attributes:
        settings: as read at start.
        metrics: of this worker and, at a scrape, of all.
        bundles: what is served.
        store: feedback.
        feedback: posts of feedback on their way into the store.
        captures: inputs of recent predictions.
        capture_choice: which of them are kept.
        drift: whether the traffic is still like the calibration sample.
        refit_on_drift: asks for a retrain job where it is not.
        shadow: a candidate that scores live traffic beside what is served.
        live_points: captures and labels in the page's picture.
        events: what GET /events tells.
        large_work: one thread for bodies and batches that would block the event loop.
        batcher: runs the questions of all connections together.
        in_flight: bounds the requests for predictions in work.
        admission: who may come in, and how often.
        backlog: what waits in the store, for /metrics.
    """

    settings: Settings
    metrics: Metrics
    bundles: BundleWatcher
    store: LazyStore
    feedback: FeedbackQueue
    captures: CaptureBuffer
    capture_choice: CaptureChoice
    drift: DriftWatch
    refit_on_drift: RefitOnDrift
    shadow: Shadow
    live_points: LivePoints
    events: EventSource
    large_work: ThreadPoolExecutor
    batcher: MicroBatcher
    in_flight: InFlight
    admission: Admission
    backlog: BacklogReader

    async def beside(self, work: Callable[[], _Result]) -> _Result:
        """Do large work in the one thread for it; what comes meanwhile waits its turn."""
        return await asyncio.get_running_loop().run_in_executor(self.large_work, work)

    async def follow_shadow(self) -> None:
        """Let the candidate in the shadow score what was answered, in the thread for large work."""
        await asyncio.to_thread(self.shadow.refresh)
        if self.shadow.has_work:
            await self.beside(self.shadow.score)

    async def refresh_keys(self) -> None:
        """Take keys that were added or removed, without blocking the event loop."""
        if self.admission.keys is not None:
            await asyncio.to_thread(self.admission.keys.refresh)

    async def read(self, body: bytes, parse: Callable[[], _Result]) -> _Result:
        """Parse a body, beside the event loop if it is large."""
        return await self.beside(parse) if len(body) > LARGE_BODY else parse()


def runtime_of(request: Request) -> Runtime:
    """The runtime of the application that handles a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Runtime]:
    """Start a worker's parts, keep them up to date, and take them down in order.

    Raises:
        ProviderUnavailable: CUDA is required, and this machine has none.
    """
    form_logs(settings.log_form)
    with TemporaryDirectory(prefix="rcmvae-metrics-") as own:
        runtime = await asyncio.to_thread(_build, settings, Path(own))
        _calm_garbage_collector()
        sys.setswitchinterval(_SWITCH_SECONDS)
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(repeat(action, seconds, stop))
            for action, seconds in (
                (runtime.bundles.refresh_in_thread, settings.poll_seconds),
                (runtime.captures.flush, settings.capture_flush_seconds),
                (runtime.refit_on_drift.follow, _DRIFT_SECONDS),
                (runtime.captures.forget, _FORGET_SECONDS),
                (runtime.follow_shadow, _SHADOW_SECONDS),
                (runtime.events.look_for_readers, LOOK_SECONDS),
                (runtime.refresh_keys, _KEYS_SECONDS),
                (ParentWatch().check, _PARENT_SECONDS),
            )
        ]
        try:
            yield runtime
        finally:
            stop.set()
            await asyncio.gather(*tasks)
            await _take_down(runtime)


def _calm_garbage_collector() -> None:
    """Take what the start made out of the collector's sight, and let it look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _build(settings: Settings, own: Path) -> Runtime:
    metrics = _metrics(settings, own)
    providers = machine_providers(
        wanted=settings.wanted_providers, require_cuda=settings.require_cuda
    )
    _log.info("execution providers: %s", ", ".join(providers))
    opener = partial(open_served, providers=providers, threads=settings.threads)
    bundles = BundleWatcher(settings.models_dir, opener, metrics)
    bundles.refresh()
    store = LazyStore(settings.store_url)
    captures = CaptureBuffer(
        store,
        metrics,
        rows=settings.capture_rows,
        keep=settings.capture_keep,
        keep_days=settings.capture_keep_days,
        flush_seconds=settings.capture_flush_seconds,
    )
    drift = DriftWatch(metrics, run_length=settings.drift_run_length, window=settings.drift_window)
    thread = ThreadPoolExecutor(1, thread_name_prefix="large-work")
    limits = Limits(
        inline_rows=0 if is_accelerated(providers) else settings.inline_rows,
        batch_rows=settings.batch_rows,
        queue_rows=settings.queue_rows,
    )
    shadow = Shadow(settings.models_dir, opener, metrics.shadow, settings.alpha)
    batcher = MicroBatcher(
        Inference(metrics.answers, drift, settings.batch_rows, shadow),
        thread,
        limits,
        metrics.queue,
    )
    live_points = LivePoints(store, thread, settings.map_points)
    events = EventSource(
        EventFeed(settings.event_streams, metrics.events_lost),
        bundles,
        store,
        thread,
        alpha=lambda served: settings.alpha or served.predictor.calibration.alpha,
        drift=partial(drift_answer, settings, metrics, drift),
    )
    return Runtime(
        settings=settings,
        metrics=metrics,
        bundles=bundles,
        store=store,
        feedback=FeedbackQueue(store),
        captures=captures,
        capture_choice=CaptureChoice(
            settings.capture_policy,
            settings.capture_uncertain,
            settings.capture_share,
            CaptureRate(settings.capture_rate, settings.capture_rows),
        ),
        drift=drift,
        refit_on_drift=RefitOnDrift(drift, store),
        shadow=shadow,
        live_points=live_points,
        events=events,
        large_work=thread,
        batcher=batcher,
        in_flight=InFlight(settings.requests_in_flight),
        admission=_admission(settings),
        backlog=BacklogReader(store),
    )


def _admission(settings: Settings) -> Admission:
    keys = None if settings.keys_file is None else Keyring(settings.keys_file)
    requests = parse_quota("requests", settings.rate_requests)
    rows = parse_quota("rows", settings.rate_rows)
    return Admission(keys, Rates(requests, rows), public_without_keys=settings.public_without_keys)


def _metrics(settings: Settings, own: Path) -> Metrics:
    """Metrics in the folder that all workers share, or in this process alone.

    BentoML sets the variable for its workers before ``prometheus_client`` is imported, which
    chooses files over memory; but it names a folder that the next server of the same
    ``BENTOML_HOME`` empties, so the files go where `deployment.prepare` says.
    """
    multiprocess = MULTIPROCESS_VARIABLE in os.environ
    if multiprocess and settings.metrics_dir is not None:
        os.environ[MULTIPROCESS_VARIABLE] = str(settings.metrics_dir)
    directory = Path(os.environ[MULTIPROCESS_VARIABLE]) if multiprocess else own
    return Metrics(directory, multiprocess=multiprocess)


async def _take_down(runtime: Runtime) -> None:
    await runtime.batcher.close()
    await runtime.captures.flush()
    await asyncio.to_thread(runtime.large_work.shutdown)
    runtime.store.close()
