"""One seed of the benchmark of asking: one fit without labels, and every plan on it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.asking import PLANS, RANDOM, Asked, Plan, Stream, ask, labels_to, open_stream
from benchmarks.peers.peer import known_test, share_right
from benchmarks.peers.supervised_cnn import SupervisedCnn, answers, logits_of
from rcmvae.bundle import Bundle, Lineage, load_current, publish_bundle, stage_bundle
from rcmvae.candidates import Strategy
from rcmvae.uncertainty import entropy
from training.assemble import assemble
from training.config import RunConfig
from training.data import Dataset, Examples, label_ids, load_dataset
from training.encode import softmax
from training.fit import fit
from training.recipe import settled
from training.refit import prepare
from training.relabel import Correction
from training.state import FitState

TARGETS = (0.95, 0.97, 0.985)
SHOWN = (30, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is asked for, and with what the peers are allowed.

    Attributes:
        most: labels in all.
        batch: labels at once.
        pool: unlabelled inputs to choose from, at most.
        refit_at: labels at which the plan with refits trains.
        refit_epochs: of one refit; None for half of the fit's.
        cnn_at: labels at which the supervised network is trained.
        cnn_steps: of its optimiser.
    """

    most: int
    batch: int
    pool: int
    refit_at: tuple[int, ...]
    refit_epochs: int | None
    cnn_at: tuple[int, ...]
    cnn_steps: int

    @property
    def counts(self) -> range:
        """Labels after each batch."""
        return range(self.batch, self.most + 1, self.batch)


@dataclass(frozen=True, slots=True)
class AskedCurve:
    """Accuracy against labels of one plan on one seed."""

    name: str
    seed: int
    points: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class SeedResult:
    """All plans on one seed, and the run that the network comes from."""

    run: RunConfig
    curves: tuple[AskedCurve, ...]

    def figures(self) -> dict[str, float | None]:
        """Labels to each target, and accuracy at some numbers of labels, by plan."""
        figures: dict[str, float | None] = {}
        for curve in self.curves:
            for target in TARGETS:
                name = f"{curve.name}: labels to {100 * target:g} %"
                figures[name] = labels_to(curve.points, target)
            by_count = {point.labels: point.accuracy for point in curve.points}
            for count in SHOWN:
                if count in by_count:
                    figures[f"{curve.name}: accuracy at {count}"] = by_count[count]
        return figures


def measure(
    config: RunConfig,
    seed: int,
    budget: Budget,
    folder: Path,
    found: tuple[RunConfig, Dataset, FitState] | None,
) -> SeedResult:
    """Fit without labels, or take a run that was, and ask by every plan.

    Args:
        config: of the run.
        seed: of split, fit and chance.
        budget: what may be asked for.
        folder: for bundles.
        found: configuration, data and state of a finished run, or None.
    """
    run, dataset, state = found or _fitted(config, seed)
    draft = assemble(state.served, dataset, run, Lineage(method="fit"), label_ids(dataset))
    publish_bundle(folder, draft, expected_parent=None)
    bundle = load_current(folder)
    stream = open_stream(bundle, dataset, run.data.source, budget.pool)
    curves = [
        AskedCurve(plan.name, seed, tuple(ask(stream, plan, seed, budget.counts)[0]))
        for plan in PLANS
    ]
    if budget.refit_at:
        curves += _refitted(stream, bundle, dataset, run, budget, folder)
    if budget.cnn_at:
        curves += _supervised(stream, dataset, run, budget)
    return SeedResult(run, tuple(curves))


def _fitted(config: RunConfig, seed: int) -> tuple[RunConfig, Dataset, FitState]:
    dataset = load_dataset(config.data, seed)
    run = settled(replace(config, seed=seed), dataset)
    return run, dataset, fit(dataset, run)


def _refitted(
    stream: Stream,
    bundle: Bundle,
    dataset: Dataset,
    run: RunConfig,
    budget: Budget,
    folder: Path,
) -> list[AskedCurve]:
    """Chance and our plan, each with refits on the labels asked for so far."""

    def after(rows: NDArray[np.int64]) -> Stream | None:
        if rows.size not in budget.refit_at:
            return None
        refitted = _refit(bundle, dataset, stream, rows, budget, folder)
        return open_stream(refitted, dataset, run.data.source, budget.pool)

    plans = (
        Plan("representatives, refitted", Strategy.REPRESENTATIVES, Strategy.REPRESENTATIVES),
        Plan("random, refitted", None, None),
    )
    curves = []
    for plan in plans:
        points, _ = ask(stream, plan, run.seed, budget.counts, after=after)
        curves.append(AskedCurve(plan.name, run.seed, tuple(points)))
    return curves


def _refit(
    bundle: Bundle,
    dataset: Dataset,
    stream: Stream,
    rows: NDArray[np.int64],
    budget: Budget,
    folder: Path,
) -> Bundle:
    """Go on from the fit without labels, with the labels of these rows."""
    corrections = [
        Correction(f"asked-{row}", stream.names[stream.truth[row]], dataset.unlabelled[row])
        for row in rows.tolist()
    ]
    start = prepare(bundle, corrections)
    epochs = budget.refit_epochs or max(1, start.original.fit.epochs // 2)
    # A warm start of a bundle keeps what it knows; here the labels are the first ever.
    rate = start.original.fit.peak_lr / 2
    config = replace(start.config, fit=replace(start.config.fit, epochs=epochs, peak_lr=rate))
    state = fit(start.dataset, config, start=start.state)
    lineage = Lineage(
        method="refit", parent_version=bundle.version, data_sha256=start.dataset.sha256
    )
    draft = assemble(state.served, start.dataset, start.original, lineage, start.ids)
    return stage_bundle(folder, draft)


def _supervised(
    stream: Stream, dataset: Dataset, run: RunConfig, budget: Budget
) -> list[AskedCurve]:
    """A supervised network, trained anew at every number of labels: chance, and entropy."""
    peer = SupervisedCnn(steps=budget.cnn_steps)
    order = np.random.default_rng(run.seed).permutation(len(stream.pool))
    pool = dataset.unlabelled[: len(order)]
    by_chance, by_entropy = [], []
    asked, network = order[: budget.cnn_at[0]], None
    for count in budget.cnn_at:
        if network is not None:
            # The network of the round before says what it is unsure of.
            doubt = entropy(softmax(logits_of(network, pool)))
            doubt[asked] = -1.0
            more = np.argsort(-doubt, kind="stable")[: count - asked.size]
            asked = np.concatenate([asked, more])
        labelled = _with_labels(dataset, stream, asked)
        network, test = peer.trained(labelled, run), known_test(labelled)
        by_entropy.append(Asked(count, share_right(answers(network, test.x), test)))
        chance = _with_labels(dataset, stream, order[:count])
        by_chance.append(Asked(count, peer.accuracy(chance, run)))
    return [
        AskedCurve(f"cnn, {RANDOM}", run.seed, tuple(by_chance)),
        AskedCurve("cnn, entropy", run.seed, tuple(by_entropy)),
    ]


def _with_labels(dataset: Dataset, stream: Stream, rows: NDArray[np.int64]) -> Dataset:
    labelled = Examples(dataset.unlabelled[rows], stream.truth[rows])
    return replace(dataset, labels=dataset.held_labels, labelled=labelled)
