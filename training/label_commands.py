"""`python -m training labels rename|merge|delete|undo`: labels that came with feedback."""

import argparse

from rcmvae.bundle import load_current
from rcmvae.counts import read_label_map
from rcmvae.feedback import FeedbackStore, LabelEdit
from rcmvae.label_edit import Edit, check_edit
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
    label_map = read_label_map(load_current(options.models))
    check_edit(
        label_map, Edit.MERGE if options.is_merge else Edit.RENAME, options.label, options.into
    )
    with FeedbackStore.open(options.store) as store:
        _say(store.rename_label(options.label, options.into, person()))


def run_delete(options: argparse.Namespace) -> None:
    """Delete a label; raises as `run_rename`."""
    check_edit(read_label_map(load_current(options.models)), Edit.DELETE, options.label, None)
    with FeedbackStore.open(options.store) as store:
        _say(store.delete_label(options.label, person()))


def run_undo(options: argparse.Namespace) -> None:
    """Undo an edit.

    Raises:
        InvalidInput: nothing is left of it.
    """
    with FeedbackStore.open(options.store) as store:
        _say(store.undo_label_edit(options.edit, person()))


def _say(edit: LabelEdit) -> None:
    count = len(edit.feedback_ids)
    print(f"{edit.edit_id}: {count} corrections; the next retrain job counts them")
