"""Ids of edits of labels, by which what an edit wrote is found again and can be undone."""

import re
from uuid import uuid4

from rcmvae.errors import InvalidInput

_FORM = re.compile(r"edit-[0-9a-f]{12}")


def new_edit_id() -> str:
    """An id that no edit has; it is the source of the corrections that the edit adds."""
    return f"edit-{uuid4().hex[:12]}"


def taken_back_by(edit_id: str) -> str:
    """The reason of corrections that the edit takes back."""
    return f"taken back by {edit_id}"


def refuse_edit_id(field: str, text: str) -> None:
    """Refuse text from outside that names an edit.

    Whoever undoes that edit would speak for a correction that it never touched, and what is brought
    back so is doubted by no guard.

    Raises:
        InvalidInput: it does.
    """
    if _FORM.search(text):
        raise InvalidInput(field, "no id of an edit of a label", "one")
