"""Long lists of values for a statement, in parts that every database takes."""

from collections.abc import Iterator, Sequence

# Old builds of SQLite allow 999 parameters in a statement.
_PARAMETERS = 500


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list into parts of at most 500, in order."""
    return (values[start : start + _PARAMETERS] for start in range(0, len(values), _PARAMETERS))
