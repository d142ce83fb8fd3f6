"""What each choice of the model is worth: short runs that differ from the recipe in one thing.

python -m benchmarks.ablation --data mnist --seeds 2 --json ablation.json --picture ablation.png
python -m benchmarks.ablation --only recipe "no usage reward" --seeds 5

Figures are those of held-out inputs; the test inputs have no part in it. Runs are short, so the
table says what a choice is worth early in training, not where it would end.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from tqdm import tqdm

from benchmarks.ablation_picture import draw_ablation
from benchmarks.channel_labels import count_channels
from benchmarks.result import (
    Provenance,
    Result,
    figures_of,
    provenance,
    write_result,
)
from benchmarks.run_options import run_config, run_parser, seeds_of, shown
from rcmvae.label_map import LabelMap
from training.assemble import DENSITY_INPUTS, build_label_map
from training.config import RunConfig
from training.data import label_ids, load_dataset
from training.encode import encode, session_of
from training.export import export_encoder
from training.fit import fit
from training.recipe import settled

SHORT = ("data.limit=22000", "fit.epochs=5")
QUICK = ("data.limit=800", "fit.epochs=1", "data.held_out=100")


@dataclass(frozen=True, slots=True)
class Variant:
    """One change to the recipe.

    Attributes:
        name: what is different.
        settings: ``section.field=value`` overrides.
    """

    name: str
    settings: tuple[str, ...] = ()


RECIPE = Variant("recipe")
VARIANTS = (
    RECIPE,
    Variant("layout shared", ("model.layout=shared",)),
    Variant("prior mixture", ("model.prior=mixture",)),
    Variant("prior vamp", ("model.prior=vamp",)),
    Variant("prior geometric", ("model.prior=geometric",)),
    Variant(
        "learnable pi, Dirichlet",
        (
            "model.channel_prior=learnable",
            "objective.options.channel_kl=0.1",
            "objective.options.dirichlet=0.001",
        ),
    ),
    Variant("encoder mlp", ("model.encoder=mlp",)),
    Variant("decoder conv", ("model.decoder=conv",)),
    Variant("conditioning concat", ("model.conditioning=concat",)),
    Variant("conditioning cin, decoder conv", ("model.conditioning=cin", "model.decoder=conv")),
    Variant("gaussian, sigma per image", ("model.likelihood=gaussian", "model.sigma=image")),
    Variant("gaussian, sigma per pixel", ("model.likelihood=gaussian", "model.sigma=pixel")),
    Variant("routing gumbel", ("objective.routing=gumbel",)),
    Variant("routing straight-through", ("objective.routing=gumbel_st",)),
    Variant("KL over all channels", ("objective.kl_form=all",)),
    Variant("no KL annealing", ("objective.kl_warmup=0",)),
    Variant("no usage reward", ("objective.usage=0",)),
    Variant("sparsity late", ("objective.options.sparsity=0.3",)),
    Variant("no channel agreement", ("objective.channel_agreement=0",)),
    Variant("no label agreement", ("objective.label_agreement=0",)),
    Variant("no pseudo-labels", ("objective.pseudo_label=0",)),
    Variant("both views learn", ("objective.second_view=learning",)),
    Variant("no reconstruction", ("objective.reconstruction=0",)),
    Variant("repulsion", ("objective.options.repulsion=0.1",)),
    Variant("logit mixture", ("objective.options.peakiness=0.01",)),
    Variant("supervised contrastive", ("objective.options.contrastive=0.1",)),
    Variant("variance penalty", ("objective.options.variance=0.1",)),
    Variant("MMD shaping", ("objective.options.discrepancy=0.1",)),
    Variant(
        "channel curriculum",
        (
            "objective.curriculum.start=10",
            "objective.curriculum.step=10",
            "objective.curriculum.patience=1",
            "objective.curriculum.kick_epochs=1",
            "objective.curriculum.end=0.4",
        ),
    ),
    Variant("soft-embedding warm-up", ("objective.options.soft_embedding=0.3",)),
    Variant("K = 20", ("model.num_channels=20",)),
    Variant("K = 50", ("model.num_channels=50",)),
    Variant("no label spreading", ("calibration.spread_labels=false",)),
    Variant("elastic views", ("augment.elastic=0.03",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(given)
    origin = provenance("ablation", given)
    seeds = seeds_of(options, 1 if options.quick else None)
    variants = _chosen(options.only)
    runs: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in variants}
    bar = tqdm(total=len(seeds) * len(variants), desc="runs", unit="run")
    for seed in seeds:
        for variant in variants:
            runs[variant.name].append(measure(_config(options, variant), seed))
            bar.update()
        # Whole rounds alone are written: every variant has the same seeds.
        _write(options, origin, seeds[: len(runs[RECIPE.name])], runs)
    bar.close()
    _print(runs)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("ablation", __doc__, data="mnist", seeds=2)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these variants alone")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="draw the table there, PNG")
    return parser.parse_args(arguments)


def _chosen(names: Sequence[str] | None) -> tuple[Variant, ...]:
    """The recipe, and the variants that are named; all of them without names."""
    if names is None:
        return VARIANTS
    unknown = sorted(set(names) - {variant.name for variant in VARIANTS})
    if unknown:
        known = ", ".join(repr(variant.name) for variant in VARIANTS)
        raise SystemExit(f"--only: expected names among {known}, got {unknown[0]!r}")
    return tuple(v for v in VARIANTS if v is RECIPE or v.name in names)


def _config(options: argparse.Namespace, variant: Variant) -> RunConfig:
    """Short, then the variant, then what --set says."""
    short = QUICK if options.quick else SHORT
    return run_config(options, (*short, *variant.settings))


def measure(config: RunConfig, seed: int) -> dict[str, float]:
    """One short run: how it answers and uses its channels on held-out inputs."""
    dataset = load_dataset(config.data, seed)
    run = settled(replace(config, seed=seed), dataset)
    started = time.perf_counter()
    state = fit(dataset, run, quiet=True)
    seconds = time.perf_counter() - started
    session = session_of(export_encoder(state.served))
    stream = encode(session, dataset.unlabelled[:DENSITY_INPUTS])
    label_map = build_label_map(state.served, dataset, run, label_ids(dataset), stream)
    held_out = (dataset.density, dataset.calibration)
    right = sum(
        _right(label_map, encode(session, part.x).responsibilities(), part.y) for part in held_out
    )
    found = count_channels(session, dataset)
    return {
        "held_out_accuracy": right / sum(len(part) for part in held_out),
        "purity": found.purity,
        "effective_channels": state.history[-1].effective_channels,
        "labels_sharing_a_channel": float(found.labels_sharing_a_channel),
        "fit_seconds": seconds,
    }


def _right(label_map: LabelMap, responsibilities: NDArray[np.float64], y: NDArray[np.int64]) -> int:
    return int(((responsibilities @ label_map.tau).argmax(axis=1) == y).sum())


def _result(
    options: argparse.Namespace,
    origin: Provenance,
    seeds: Sequence[int],
    runs: Mapping[str, Sequence[Mapping[str, float]]],
) -> Result:
    figures = {
        f"{name}: {figure}": value
        for name, rows in runs.items()
        for figure, value in figures_of(rows).items()
    }
    changes: dict[str, JsonValue] = {
        variant.name: list(variant.settings) for variant in VARIANTS if variant.name in runs
    }
    config: dict[str, JsonValue] = {"run": shown(_config(options, RECIPE)), "variants": changes}
    return Result(origin.commit, origin.command, tuple(seeds), config, figures)


def _write(
    options: argparse.Namespace,
    origin: Provenance,
    seeds: Sequence[int],
    runs: Mapping[str, Sequence[Mapping[str, float]]],
) -> None:
    if options.json is not None:
        write_result(_result(options, origin, seeds, runs), options.json)
    if options.picture is not None:
        accuracy = {name: [row["held_out_accuracy"] for row in rows] for name, rows in runs.items()}
        draw_ablation(accuracy, RECIPE.name, options.picture)


def _print(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """The table in Markdown, the best first; seconds as a ratio to the recipe's of the same run."""
    tables = {name: figures_of(rows) for name, rows in runs.items()}
    means = {name: {k: f.mean or 0.0 for k, f in table.items()} for name, table in tables.items()}
    base = means[RECIPE.name]
    print("| variant | held-out accuracy, % | against the recipe | purity, % | channels | time |")
    print("|---|---|---|---|---|---|")
    for name in sorted(means, key=lambda n: -means[n]["held_out_accuracy"]):
        mean, spread = means[name], tables[name]["held_out_accuracy"].sd or 0.0
        accuracy, ratio = 100 * mean["held_out_accuracy"], mean["fit_seconds"] / base["fit_seconds"]
        print(
            f"| {name} | {accuracy:.1f} +- {100 * spread:.1f} "
            f"| {accuracy - 100 * base['held_out_accuracy']:+.1f} | {100 * mean['purity']:.1f} "
            f"| {mean['effective_channels']:.1f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
