"""Results of the same benchmark over different seeds, put together."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from benchmarks.result import Figure, Provenance, Result, figure_of, read_result


class MergeRefused(ValueError):
    """Two results do not belong together; the message says why."""


def merge(results: Sequence[Result], origin: Provenance) -> Result:
    """One result over all seeds, in their order.

    Args:
        results: at least one.
        origin: of the merge; its commit gives way to that of the results.

    Raises:
        MergeRefused: commits, configurations or names of figures differ, or a seed comes twice.
    """
    first = results[0]
    for other in results[1:]:
        _require_same(first, other)
    seeds = [seed for result in results for seed in result.seeds]
    if len(set(seeds)) < len(seeds):
        raise MergeRefused(f"seeds: expected each once, got {sorted(seeds)}")
    order = sorted(range(len(seeds)), key=seeds.__getitem__)
    return Result(
        commit=first.commit,
        command=origin.command,
        seeds=tuple(seeds[place] for place in order),
        config=first.config,
        figures={name: _joined(results, name, order) for name in first.figures},
        curves=tuple(curve for result in results for curve in result.curves),
        parts=tuple(result.command for result in results),
    )


def merged(paths: Sequence[Path], origin: Provenance) -> Result:
    """The results of files put together, for a command line.

    Raises:
        SystemExit: a file holds no result, or they do not belong together; says which and why.
    """
    try:
        return merge([_read(path) for path in paths], origin)
    except MergeRefused as refusal:
        raise SystemExit(f"--merge: {refusal}") from None


def _read(path: Path) -> Result:
    try:
        return read_result(path)
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SystemExit(f"--merge: {path.name}: expected a result, got {reason}") from None


def _joined(results: Sequence[Result], name: str, order: Sequence[int]) -> Figure:
    values = [value for result in results for value in result.figures[name].values]
    return figure_of([values[place] for place in order])


def _require_same(first: Result, other: Result) -> None:
    if first.commit != other.commit:
        raise MergeRefused(f"commit: expected {first.commit}, got {other.commit}")
    if first.config != other.config:
        raise MergeRefused(f"configuration: {_first_difference(first.config, other.config)}")
    if set(first.figures) != set(other.figures):
        differing = sorted(set(first.figures) ^ set(other.figures))
        raise MergeRefused(f"figures: expected the same names, but {differing} are in one alone")


def _first_difference(expected: object, actual: object, path: str = "") -> str:
    """Where two trees of JSON values differ first."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in sorted(expected.keys() | actual.keys()):
            if expected.get(name) != actual.get(name):
                inner = f"{path}.{name}" if path else name
                return _first_difference(expected.get(name), actual.get(name), inner)
    return f"{path}: expected {expected!r}, got {actual!r}"
