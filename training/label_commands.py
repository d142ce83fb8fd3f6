"""`python -m training labels rename|merge|delete|undo`: labels that came with feedback."""

import argparse

from rcmvae.bundle import Bundle, load_current
from rcmvae.counts import read_label_map
from rcmvae.errors import InvalidInput
from rcmvae.feedback import FeedbackStore, LabelEdit
from training.data import is_label_id
from training.retrain_commands import add_places
from training.version_commands import person


def add_labels(parser: argparse.ArgumentParser) -> None:
    """The options of `labels`."""
    edits = parser.add_subparsers(required=True, metavar="EDIT")
    for name, about in (
        ("rename", "give a label a name that is not in use"),
        ("merge", "count a label's examples for another label"),
    ):
        edit = edits.add_parser(name, help=about)
        add_places(edit)
        edit.add_argument("label")
        edit.add_argument("into")
        edit.set_defaults(command=run_rename, is_merge=name == "merge")
    edit = edits.add_parser("delete", help="take a label's examples back")
    add_places(edit)
    edit.add_argument("label")
    edit.set_defaults(command=run_delete)
    edit = edits.add_parser("undo", help="undo an edit by the id that it printed")
    add_places(edit)
    edit.add_argument("edit")
    edit.set_defaults(command=run_undo)


def run_rename(options: argparse.Namespace) -> None:
    """Rename or merge a label.

    Raises:
        InvalidInput: the label comes from the fit or is not there; the other name is in use, or to
            merge, is not.
    """
    bundle = load_current(options.models)
    _require_from_feedback(bundle, options.label)
    is_used = options.into in bundle.manifest.labels
    if is_used != options.is_merge or options.into == options.label:
        expected = "another label of the bundle" if options.is_merge else "a name not in use"
        raise InvalidInput("into", expected, repr(options.into))
    with FeedbackStore.open(options.store) as store:
        _say(store.rename_label(options.label, options.into, person()))


def run_delete(options: argparse.Namespace) -> None:
    """Delete a label; raises as `run_rename`."""
    _require_from_feedback(load_current(options.models), options.label)
    with FeedbackStore.open(options.store) as store:
        _say(store.delete_label(options.label, person()))


def run_undo(options: argparse.Namespace) -> None:
    """Undo an edit.

    Raises:
        InvalidInput: nothing is left of it.
    """
    with FeedbackStore.open(options.store) as store:
        _say(store.undo_label_edit(options.edit, person()))


def _require_from_feedback(bundle: Bundle, label: str) -> None:
    """The fit's own labels stand in its data and in the golden set, which no edit reaches."""
    label_map = read_label_map(bundle)
    if label not in label_map.labels:
        raise InvalidInput("label", "one of the bundle", repr(label))
    column = label_map.index(label)
    rows = zip(label_map.ids, label_map.contribution_labels.tolist(), strict=True)
    if any(y == column and is_label_id(name) for name, y in rows):
        raise InvalidInput("label", "one that came with feedback", f"{label!r}, one of the fit")


def _say(edit: LabelEdit) -> None:
    count = len(edit.feedback_ids)
    print(f"{edit.edit_id}: {count} corrections; the next retrain job counts them")
