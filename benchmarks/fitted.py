"""A fitted model as it would be served: trained here, or read from a run's folder."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rcmvae.bundle import Bundle, Lineage, load_current, publish_bundle
from rcmvae.predictor import Predictor
from training.assemble import assemble
from training.config import RunConfig
from training.data import Dataset, label_ids, load_dataset
from training.fit import fit
from training.model.network import RcmVae
from training.recipe import settled
from training.run import RunFolder
from training.run_io import read_run


@dataclass(frozen=True, slots=True)
class Fitted:
    """One seed's model.

    Attributes:
        run: the settled configuration.
        dataset: its split.
        bundle: as it was published; its contents are in memory, its folder is gone.
        predictor: the bundle as it is served.
    """

    run: RunConfig
    dataset: Dataset
    bundle: Bundle
    predictor: Predictor


def fit_seed(
    config: RunConfig, seed: int, change: Callable[[Dataset, RunConfig], Dataset] | None = None
) -> Fitted:
    """Train on the split of a seed.

    Args:
        config: of the run.
        seed: of the split and the fit.
        change: of the split, before anything sees it.
    """
    dataset = load_dataset(config.data, seed)
    given = replace(config, seed=seed)
    dataset = dataset if change is None else change(dataset, given)
    run = settled(given, dataset)
    return _served(fit(dataset, run).served, dataset, run)


def read_fitted(path: Path) -> Fitted:
    """What `python -m training train` left in a folder.

    Raises:
        DataError: the folder holds no finished run.
    """
    run, dataset, state = read_run(RunFolder(path))
    return _served(state.served, dataset, run)


def _served(network: RcmVae, dataset: Dataset, run: RunConfig) -> Fitted:
    draft = assemble(network, dataset, run, Lineage(method="fit"), label_ids(dataset))
    with tempfile.TemporaryDirectory() as folder:
        publish_bundle(Path(folder), draft, expected_parent=None)
        bundle = load_current(Path(folder))
        return Fitted(run, dataset, bundle, Predictor.open(bundle))
