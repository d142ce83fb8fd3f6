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
from training.refit import with_corrections
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
        fit_at: labels with which the plans that fit anew do so.
        fit_epochs: of such a fit; None for those of the first.
        cnn_at: labels at which the supervised network is trained.
        cnn_steps: of its optimiser.
    """

    most: int
    batch: int
    pool: int
    fit_at: tuple[int, ...]
    fit_epochs: int | None
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
    stream = open_stream(load_current(folder), dataset, run.data.source, budget.pool)
    curves = [
        AskedCurve(plan.name, seed, tuple(ask(stream, plan, seed, budget.counts)[0]))
        for plan in PLANS
    ]
    if budget.fit_at:
        curves += _fitted_anew(stream, dataset, run, budget, folder)
    if budget.cnn_at:
        curves += _supervised(stream, dataset, run, budget)
    return SeedResult(run, tuple(curves))


def _fitted(config: RunConfig, seed: int) -> tuple[RunConfig, Dataset, FitState]:
    dataset = load_dataset(config.data, seed)
    run = settled(replace(config, seed=seed), dataset)
    return run, dataset, fit(dataset, run)


def _fitted_anew(
    stream: Stream, dataset: Dataset, run: RunConfig, budget: Budget, folder: Path
) -> list[AskedCurve]:
    """Our plan, and chance, each with a fit on the labels asked for so far."""

    def after(rows: NDArray[np.int64]) -> Stream | None:
        if rows.size not in budget.fit_at:
            return None
        bundle = _fit_with(rows, stream, dataset, run, budget, folder)
        return open_stream(bundle, dataset, run.data.source, budget.pool)

    plans = (
        Plan("representatives, fitted anew", Strategy.REPRESENTATIVES, Strategy.REPRESENTATIVES),
        Plan("random, fitted anew", None, None),
    )
    curves = []
    for plan in plans:
        points, _ = ask(stream, plan, run.seed, budget.counts, after=after)
        curves.append(AskedCurve(plan.name, run.seed, tuple(points)))
    return curves


def _fit_with(
    rows: NDArray[np.int64],
    stream: Stream,
    dataset: Dataset,
    run: RunConfig,
    budget: Budget,
    folder: Path,
) -> Bundle:
    """A bundle of the same run, fitted with the labels of these rows of the pool.

    From new weights: to go on from those without labels gains little
    (docs/decisions/0011-what-to-label.md).
    """
    corrections = [
        Correction(f"asked-{row}", stream.names[stream.truth[row]], dataset.unlabelled[row])
        for row in rows.tolist()
    ]
    labelled = with_corrections(dataset, dataset.held_labels, corrections)
    config = replace(
        run,
        data=replace(run.data, labels=len(labelled.labelled)),
        fit=replace(run.fit, epochs=budget.fit_epochs or run.fit.epochs),
    )
    state = fit(labelled, config)
    ids = (*label_ids(dataset), *(correction.feedback_id for correction in corrections))
    return stage_bundle(
        folder, assemble(state.served, labelled, config, Lineage(method="fit"), ids)
    )


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
        network, test = peer.fitted(labelled, run), known_test(labelled)
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
