"""The name of a label: the one form in which the store, a bundle and a request may hold it.

Names are compared character by character, so two spellings of one name would become two labels.
"""

import unicodedata

from rcmvae.errors import InvalidInput

MAX_LABEL = 64
"""Longest label name, in characters of normal form C."""
LABEL_FORM = f"1 to {MAX_LABEL} printable characters, all seen, without spaces at the ends"
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that nobody sees (fillers, joiners), so that two labels would look alike."""


def label_name(field: str, text: str) -> str:
    """The label name that a text stands for, in Unicode normal form C.

    Args:
        field: path of the text, for the error.
        text: from outside.

    Returns:
        1 to 64 characters, printable by the measure of str.isprintable: no controls, no
        surrogates, no space but U+0020; none that is never seen, and no mark that would stand on
        what is written before it. Applying the function again changes nothing.

    Raises:
        InvalidInput: no label can have this name.
    """
    # Bounded before it is normalised; no character of NFC came from more than a few.
    name = unicodedata.normalize("NFC", text) if len(text) <= 4 * MAX_LABEL else text
    if not 1 <= len(name) <= MAX_LABEL or not _is_visible(name) or name != name.strip():
        raise InvalidInput(field, LABEL_FORM, _shown(text))
    return name


def _is_visible(name: str) -> bool:
    if name.isascii():
        return name.isprintable()
    is_mark = unicodedata.category(name[0]).startswith("M")
    return name.isprintable() and not is_mark and _INVISIBLE.isdisjoint(name)


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_LABEL else text[:MAX_LABEL] + "...")
