"""`python -m training`: train, export, evaluate, retrain, prune, report."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rcmvae.bundle import (
    Bundle,
    Lineage,
    load_bundle,
    load_current,
    prune,
    publish_bundle,
    read_pointer,
)
from rcmvae.counts import read_label_map
from rcmvae.errors import InvalidInput, RcmvaeError
from rcmvae.label_map import is_label_id
from rcmvae.predictor import Predictor
from training.config import RunConfig, from_json
from training.config_file import load_config
from training.data import label_ids, load_dataset
from training.evaluate import evaluate
from training.label_commands import add_labels
from training.retrain_commands import add_retrain, models_folder
from training.run import RunFolder
from training.version_commands import add_promote, add_rollback, add_shadow, add_versions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 with a message on stderr when not."""
    options = _parser().parse_args(arguments)
    # Ours is news; the exporter's every optimisation is not.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    try:
        options.command(options)
    except (RcmvaeError, OSError) as error:  # an OSError is a full disk, or a folder not ours
        sys.stderr.write(f"training: {type(error).__name__}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands.add_parser("train", help="fit the network; continues an unfinished run"))
    _add_export(commands.add_parser("export", help="publish a run as a bundle"))
    _add_evaluate(commands.add_parser("evaluate", help="figures of a bundle on the test set"))
    add_retrain(commands.add_parser("retrain", help="turn queued feedback into a new bundle"))
    add_labels(commands.add_parser("labels", help="rename, merge or delete what people taught"))
    add_versions(commands.add_parser("versions", help="list the bundles and what each is"))
    add_promote(commands.add_parser("promote", help="make a bundle current, such as a held one"))
    add_rollback(commands.add_parser("rollback", help="make the parent bundle current again"))
    add_shadow(commands.add_parser("shadow", help="let a bundle score live traffic, unserved"))
    _add_prune(commands.add_parser("prune", help="remove old bundles, never the current one"))
    _add_report(commands.add_parser("report", help="write a page with pictures of a run"))
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of the run, such as runs/digits")
    parser.add_argument("--config", type=Path, help="a TOML file with the configuration")
    parser.add_argument("--data", help="digits, a folder of IDX files, or an NPZ file")
    parser.add_argument("--labels", type=int, help="labelled examples in all")
    parser.add_argument("--unlabelled-class", action="append", help="a class that gets no label")
    parser.add_argument("--seed", type=int, help="of the split and the fit")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(command=_train)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument(
        "--models", type=Path, default=models_folder(), help="folder of the bundles"
    )
    parser.add_argument(
        "--drop-corrections", action="store_true", help="publish though corrections are lost by it"
    )
    parser.set_defaults(command=_export)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=Path, default=models_folder(), help="folder of the bundles"
    )
    parser.add_argument("--version", help="the bundle; the current one by default")
    parser.add_argument("--alpha", type=float, help="false-alarm rate; the bundle's by default")
    parser.set_defaults(command=_evaluate)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", type=Path, default=models_folder(), help="folder of the bundles"
    )
    parser.add_argument("--keep", type=int, default=10, help="newest versions that stay")
    parser.set_defaults(command=_prune)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument(
        "--models", type=Path, default=models_folder(), help="folder of the bundles"
    )
    parser.add_argument("--version", help="the bundle to look into; the current one by default")
    parser.add_argument("--pictures", type=Path, help="write the pictures there too, as PNG")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(command=_report)


def _train(options: argparse.Namespace) -> None:
    # torch takes seconds to import, and only some commands need it.
    from training.fit import fit  # noqa: PLC0415
    from training.machine import machine_for  # noqa: PLC0415
    from training.ranks import is_first, joined  # noqa: PLC0415
    from training.recipe import settled  # noqa: PLC0415
    from training.run_io import (  # noqa: PLC0415
        open_run,
        record_history,
        record_split,
        resumed,
    )

    given = resumed(RunFolder(options.run), _config_of(options))
    dataset = load_dataset(given.data, given.seed)
    config = settled(given, dataset)
    with joined(machine_for(config.fit).device):
        if is_first():
            record_split(open_run(options.run, config), dataset)
        run = RunFolder(options.run)
        state = fit(dataset, config, run.checkpoint, quiet=options.quiet)
        if is_first():
            record_history(run, state)
            print(f"trained {config.fit.epochs} epochs: {options.run}")


def _config_of(options: argparse.Namespace) -> RunConfig:
    flags = (
        ("data.source", options.data),
        ("data.labels", options.labels),
        ("data.unlabelled_classes", options.unlabelled_class),
        ("seed", options.seed),
    )
    given = [f"{name}={json.dumps(value)}" for name, value in flags if value is not None]
    return load_config(options.config, [*given, *options.set])


def _export(options: argparse.Namespace) -> None:
    from training.assemble import assemble  # noqa: PLC0415
    from training.run_io import read_run  # noqa: PLC0415

    config, dataset, state = read_run(RunFolder(options.run))
    parent = read_pointer(options.models)
    if parent is not None and not options.drop_corrections:
        _require_no_corrections(load_current(options.models))
    lineage = Lineage(method="fit", parent_version=parent, data_sha256=dataset.sha256)
    draft = assemble(state.served, dataset, config, lineage, label_ids(dataset))
    manifest = publish_bundle(options.models, draft, expected_parent=parent)
    print(f"published {manifest.bundle_version}")
    _print_figures(manifest.metrics)


def _require_no_corrections(current: Bundle) -> None:
    """A fit knows no feedback: publishing it would take back what people corrected."""
    corrections = [name for name in read_label_map(current).ids if not is_label_id(name)]
    if corrections:
        raise InvalidInput(
            "--drop-corrections",
            "the flag, as the current bundle holds corrections that a fit does not; "
            "`retrain --method refit` keeps them",
            f"no flag and {len(corrections)} corrections",
        )


def _evaluate(options: argparse.Namespace) -> None:
    bundle = (
        load_bundle(options.models / options.version)
        if options.version
        else load_current(options.models)
    )
    config = from_json(bundle.manifest.configuration)
    predictor = Predictor.open(bundle)
    alpha = options.alpha if options.alpha is not None else predictor.calibration.alpha
    if not 0.0 < alpha < 1.0:
        raise InvalidInput("--alpha", "a rate between 0 and 1", f"{alpha:g}")
    print(f"bundle {bundle.version}")
    dataset = load_dataset(config.data, config.seed)
    _print_figures(evaluate(predictor, dataset, alpha).figures())


def _prune(options: argparse.Namespace) -> None:
    if options.keep < 1:
        raise InvalidInput("--keep", "at least 1", str(options.keep))
    for version in prune(options.models, options.keep):
        print(f"removed {version}")


def _report(options: argparse.Namespace) -> None:
    from training.report import write_report  # noqa: PLC0415

    run = RunFolder(options.run)
    page = write_report(run, options.models, options.version, options.pictures, quiet=options.quiet)
    print(page)


def _print_figures(figures: dict[str, float]) -> None:
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        print(f"  {name:<{width}}  {value:.6g}")


if __name__ == "__main__":
    sys.exit(main())
