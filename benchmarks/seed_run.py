"""One seed of the learning benchmark: ours, and the peers on the same split."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.channel_labels import channel_labels
from benchmarks.peers.peer import Peer
from benchmarks.teaching import teach
from rcmvae.bundle import Lineage, load_current, publish_bundle
from rcmvae.predictor import Predictor
from training.assemble import assemble
from training.config import RunConfig
from training.data import Dataset, Examples, label_ids, load_dataset
from training.evaluate import evaluate
from training.fit import fit
from training.recipe import settled
from training.run_io import open_run, record_history, record_split
from training.state import FitState

ALPHA = 0.01


def measure_seed(
    config: RunConfig, seed: int, peers: Mapping[str, Peer], keep: Path | None = None
) -> dict[str, float]:
    """All figures of one seed, by name.

    Args:
        config: of the run, but for its seed.
        seed: of split, weights and batches.
        peers: by name.
        keep: folder in which the run is kept, as `train` leaves it, by its seed; one that is there
            already goes on from where it stopped. None keeps nothing.

    Raises:
        InvalidInput: the folder holds a run of another configuration.
    """
    dataset = load_dataset(config.data, seed)
    run = settled(replace(config, seed=seed), dataset)
    figures = _ours(dataset, run, _fitted(dataset, run, keep))
    scaled = _scaled(dataset)
    for name, peer in peers.items():
        started = time.perf_counter()
        figures[f"{name}_accuracy"] = peer.accuracy(scaled, run)
        figures[f"{name}_seconds"] = time.perf_counter() - started
    return figures


def _scaled(dataset: Dataset) -> Dataset:
    """The split with its inputs as our network sees them: peers have no scaling of their own."""

    def examples(part: Examples) -> Examples:
        return replace(part, x=dataset.scaled(part.x))

    return replace(
        dataset,
        unlabelled=dataset.scaled(dataset.unlabelled),
        labelled=examples(dataset.labelled),
        test=examples(dataset.test),
    )


def _fitted(dataset: Dataset, run: RunConfig, keep: Path | None) -> FitState:
    if keep is None:
        return fit(dataset, run)
    folder = open_run(keep / f"seed-{run.seed}", run)
    record_split(folder, dataset)
    state = fit(dataset, run, folder.checkpoint)
    record_history(folder, state)
    return state


def _ours(dataset: Dataset, run: RunConfig, state: FitState) -> dict[str, float]:
    draft = assemble(state.served, dataset, run, Lineage(method="fit"), label_ids(dataset))
    with tempfile.TemporaryDirectory() as folder:
        publish_bundle(Path(folder), draft, expected_parent=None)
        bundle = load_current(Path(folder))
        figures = evaluate(Predictor.open(bundle), dataset, ALPHA).figures()
        # Of the epochs, also of those before a stop; a restart's first attempts are not in it.
        figures["fit_seconds"] = sum(record.seconds for record in state.history)
        figures["effective_channels"] = state.history[-1].effective_channels
        figures.update(channel_labels(bundle, dataset).figures())
        if run.data.unlabelled_classes:
            figures.update(teach(bundle, dataset, run, Path(folder)))
    return figures
