"""A bundle by a short fit, for measuring what does not depend on how well it fits."""

from pathlib import Path

from rcmvae.bundle import BundleDraft, Lineage, publish_bundle
from training.assemble import assemble
from training.config import RunConfig
from training.data import label_ids, load_dataset
from training.fit import fit
from training.recipe import settled

SHORT_FIT = ("data.limit=2000", "fit.epochs=1", "fit.restarts=0")
"""Settings that make a fit short."""


def short_draft(config: RunConfig) -> BundleDraft:
    """What a fit with these settings would publish."""
    dataset = load_dataset(config.data, config.seed)
    run = settled(config, dataset)
    network = fit(dataset, run).served
    return assemble(network, dataset, run, Lineage(method="fit"), label_ids(dataset))


def publish_short(config: RunConfig, models: Path) -> Path:
    """Publish it to a new folder, and return that."""
    publish_bundle(models, short_draft(config), expected_parent=None)
    return models
