"""Inputs by columns: for every value of an input, that value of all inputs."""

from collections.abc import Sequence

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from service.json_body import kind_of
from service.problem import quoted


def rows_of_columns(columns: object, signature: InputSignature) -> list[list[object]]:
    """Rows of the member ``columns`` of a JSON body; their values are not judged here.

    Args:
        columns: an object from every feature's name to a list, or the lists in the order of the
            values; all of one length.
        signature: names the features, where they have names.

    Raises:
        InvalidInput: a column is missing, unknown, no list, or of another length.
    """
    named = _by_name(columns, signature) if isinstance(columns, dict) else columns
    if not isinstance(named, list) or len(named) != signature.size:
        actual = kind_of(columns)
        if isinstance(named, list):
            actual = f"a list of {len(named)}"
        raise InvalidInput("columns", f"{signature.size} columns", actual)
    _require_one_length(named)
    return [list(row) for row in zip(*named, strict=True)]


def _by_name(columns: dict[str, object], signature: InputSignature) -> list[object]:
    features = signature.features
    if features is None:
        expected = f"a list of {signature.size} columns, as this bundle's values have no names"
        raise InvalidInput("columns", expected, "an object")
    for name in columns:
        if name not in features:
            raise InvalidInput("columns", "the features that GET /bundle names", quoted(name))
    for name in features:
        if name not in columns:
            raise InvalidInput("columns", "every feature that GET /bundle names", f"no {name}")
    return [columns[name] for name in features]


def _require_one_length(columns: Sequence[object]) -> None:
    first = columns[0]
    for i, column in enumerate(columns):
        if not isinstance(column, list):
            raise InvalidInput(f"columns[{i}]", "a list", kind_of(column))
        if isinstance(first, list) and len(column) != len(first):
            expected = f"a list of {len(first)}, as columns[0] is"
            raise InvalidInput(f"columns[{i}]", expected, f"a list of {len(column)}")
