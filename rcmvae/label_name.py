"""The name of a label: the one form in which the store, a bundle and a request may hold it.

Names are compared character by character, so two spellings of one name would become two labels.
"""

import unicodedata

from rcmvae.errors import InvalidInput

MAX_LABEL = 64
"""Longest label name, in characters of normal form C."""
LABEL_FORM = f"1 to {MAX_LABEL} printable characters without spaces at the ends"


def label_name(field: str, text: str) -> str:
    """The label name that a text stands for, in Unicode normal form C.

    Args:
        field: path of the text, for the error.
        text: from outside.

    Returns:
        1 to 64 characters, printable by the measure of str.isprintable: no controls, no
        surrogates, no space but U+0020; applying the function again changes nothing.

    Raises:
        InvalidInput: no label can have this name.
    """
    # Bounded before it is normalised; no character of NFC came from more than a few.
    name = unicodedata.normalize("NFC", text) if len(text) <= 4 * MAX_LABEL else text
    if not 1 <= len(name) <= MAX_LABEL or not name.isprintable() or name != name.strip():
        raise InvalidInput(field, LABEL_FORM, _shown(text))
    return name


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_LABEL else text[:MAX_LABEL] + "...")
