"""Which edits of a label make sense; the command line and the service ask the same.

The edit itself is the store's: `rcmvae.feedback.renaming`.
"""

from enum import StrEnum

from rcmvae.errors import InvalidInput
from rcmvae.label_map import LabelMap, is_label_id


class Edit(StrEnum):
    """What can be done to a label that came with feedback."""

    RENAME = "rename"
    """Give it a name that is not in use."""
    MERGE = "merge"
    """Count its examples for another label."""
    DELETE = "delete"
    """Take its examples back."""


def check_edit(label_map: LabelMap, edit: Edit, label: str, into: str | None) -> None:
    """Refuse an edit that the current bundle does not bear.

    Args:
        label_map: of the current bundle.
        edit: what is to be done.
        label: whose examples.
        into: the other name; None to delete.

    Raises:
        InvalidInput: the label is not there or comes from the fit; the other name is in use, or to
            merge, is not; to delete, there is one.
    """
    _require_from_feedback(label_map, label)
    if edit is Edit.DELETE:
        if into is not None:
            raise InvalidInput("into", "nothing, to delete", repr(into))
        return
    is_used = into in label_map.labels
    if into is None or into == label or is_used != (edit is Edit.MERGE):
        expected = "another label of the bundle" if edit is Edit.MERGE else "a name not in use"
        raise InvalidInput("into", expected, "nothing" if into is None else repr(into))


def _require_from_feedback(label_map: LabelMap, label: str) -> None:
    """The fit's own labels stand in its data and in the golden set, which no edit reaches."""
    if label not in label_map.labels:
        raise InvalidInput("label", "one of the bundle", repr(label))
    column = label_map.index(label)
    rows = zip(label_map.ids, label_map.contribution_labels.tolist(), strict=True)
    if any(y == column and is_label_id(name) for name, y in rows):
        raise InvalidInput("label", "one that came with feedback", f"{label!r}, one of the fit")
