"""POST /feedback, from bytes to items whose labels and inputs are checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle.manifest import InputSignature
from rcmvae.errors import InvalidInput
from rcmvae.feedback.edit_id import refuse_edit_id
from rcmvae.feedback.record import MAX_SOURCE, check_name
from rcmvae.input_rows import row_from_nested
from rcmvae.label_name import LABEL_FORM, label_name
from service.json_body import kind_of, parse_object, require_list, require_object
from service.problem import quoted

_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_SUBJECTS = frozenset({"prediction_id", "reference_id", "input"})
_IDS = {
    "prediction_id": (re.compile(r"[0-9A-Za-z_-]{1,64}"), "an id that /predict returned"),
    "reference_id": (re.compile(r"r-[0-9]{1,18}"), "r-<number>, as /latent-map has it"),
}
_ITEM_MEMBERS = _SUBJECTS | {"label"}


@dataclass(frozen=True, slots=True)
class ReferenceId:
    """The id of a reference point of the bundle, as GET /latent-map has it."""

    name: str


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """One label, for a captured prediction, a reference point or an input that came along.

    Attributes:
        label: the right label, NFC.
        subject: id of a captured prediction, of a reference point, or float32 of the signature's
            shape.
    """

    label: str
    subject: str | ReferenceId | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """What one request says.

    Attributes:
        items: in their order.
        source: the tool or batch that they come from, if that is said.
    """

    items: tuple[FeedbackItem, ...]
    source: str | None


def parse_feedback(body: bytes, signature: InputSignature, max_items: int) -> FeedbackRequest:
    """Read the body of a request.

    Raises:
        RequestRefused: 400 malformed JSON.
        InvalidInput: anything else that does not fit.
    """
    document = parse_object(body, frozenset({"items", "source"}))
    entries = require_list(document, "items", limit=max_items)
    items = tuple(_item(entry, signature, f"items[{i}]") for i, entry in enumerate(entries))
    return FeedbackRequest(items, _source(document.get("source")))


def _source(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput("source", f"a string of 1 to {MAX_SOURCE} characters", kind_of(value))
    check_name("source", value, MAX_SOURCE)
    refuse_edit_id("source", value)
    return value


def parse_idempotency_key(key: str | None) -> str | None:
    """The key of the header, when there is one.

    Raises:
        InvalidInput: empty, too long, or with anything but visible ASCII.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput("Idempotency-Key", "1 to 128 visible ASCII characters", quoted(key))
    return key


def parse_label(label: object, field: str) -> str:
    """A label name in Unicode normal form C.

    Raises:
        InvalidInput: not a string, empty, too long, not printable, or padded with spaces.
    """
    if not isinstance(label, str):
        raise InvalidInput(field, f"a string of {LABEL_FORM}", kind_of(label))
    return label_name(field, label)


def _item(entry: object, signature: InputSignature, field: str) -> FeedbackItem:
    members = require_object(entry, field, _ITEM_MEMBERS)
    if "label" not in members:
        raise InvalidInput(f"{field}.label", LABEL_FORM, "nothing")
    label = parse_label(members["label"], f"{field}.label")
    subjects = [name for name in sorted(_SUBJECTS) if members.get(name) is not None]
    if len(subjects) != 1:
        expected = "exactly one of prediction_id, reference_id and input"
        raise InvalidInput(field, expected, " and ".join(subjects) or "none")
    if subjects == ["input"]:
        row = row_from_nested(members["input"], signature, field=f"{field}.input")
        return FeedbackItem(label, row)
    name = _id(members, subjects[0], field)
    return FeedbackItem(label, ReferenceId(name) if subjects == ["reference_id"] else name)


def _id(members: Mapping[str, object], name: str, field: str) -> str:
    pattern, expected = _IDS[name]
    value = members[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        actual = quoted(value) if isinstance(value, str) else kind_of(value)
        raise InvalidInput(f"{field}.{name}", expected, actual)
    return value
