"""What passes in and out of the feedback store: corrections, captured inputs, claims and counts.

Everything here is immutable. Nothing here knows the database.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rcmvae.errors import InvalidInput
from rcmvae.feedback.edit_id import refuse_edit_id
from rcmvae.feedback.status import FeedbackStatus
from rcmvae.label_name import label_name

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
MAX_NAME = 128
"""Longest prediction id, bundle version, worker name and idempotency key, in characters."""
MAX_SOURCE = 64
"""Longest name of a source, in characters."""
MAX_RANK = 4
ANONYMOUS = "anonymous"
"""The author where nobody has to say who he is."""


@dataclass(frozen=True, slots=True, eq=False)
class NewFeedback:
    """A correction as it comes in, checked so that every database can hold it.

    Args:
        label: name of the right label, as rcmvae.label_name.label_name spells it.
        input: f32 of the bundle's input shape, finite.
        prediction_id: the prediction that is corrected, if there was one.
        bundle_version: the version that made that prediction.

    Raises:
        InvalidInput: a field does not fit.
    """

    label: str
    input: NDArray[np.float32]
    prediction_id: str | None = None
    bundle_version: str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_label("label", self.label)
        check_input("input", self.input)
        if self.prediction_id is not None:
            check_name("prediction_id", self.prediction_id)
        if self.bundle_version is not None:
            check_name("bundle_version", self.bundle_version)


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """Corrections that somebody sends at once, all or none.

    Args:
        items: in the order in which they were said.
        author: who says it, 1 to 128 characters.
        source: the tool or batch that it comes from, 1 to 64 characters.
        idempotency_key: 1 to 128 characters, the author's own; the same key with the same body
            gives the first reply again and changes nothing.
        body_sha256: of the request; goes with the key.

    Raises:
        InvalidInput: author, source or key do not fit.
    """

    items: Sequence[NewFeedback]
    author: str = ANONYMOUS
    source: str | None = None
    idempotency_key: str | None = None
    body_sha256: str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        if (self.idempotency_key is None) != (self.body_sha256 is None):
            raise ValueError("expected idempotency_key and body_sha256 together, got one of them")
        check_name("author", self.author)
        if self.source is not None:
            check_name("source", self.source, MAX_SOURCE)
            refuse_edit_id("source", self.source)
        if self.idempotency_key is not None:
            check_name("Idempotency-Key", self.idempotency_key)


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """A correction as the store holds it. Two are equal when all but the array object agree.

    Args:
        feedback_id: 32 hexadecimal digits.
        label: name of the right label.
        input: f32 of the input shape, read-only.
        prediction_id: the prediction that was corrected, if any.
        status: see FeedbackStatus.
        created: when it became durable, aware, UTC.
        applied_version: the bundle that took it in last; None if none ever did.
        reason: why it was rejected, quarantined or taken back, or why it could not be taken back.
        bundle_version: the version that made the prediction, if known.
        input_sha256: of the input's little-endian float32 bytes, lower-case hexadecimal.
        author: who said it.
        source: the tool or batch that it came from, if that was said.
        superseded_by: the correction of the same input that prevails; None unless replaced or
            superseded.
    """

    feedback_id: str
    label: str
    input: NDArray[np.float32] = field(compare=False)
    prediction_id: str | None
    status: FeedbackStatus
    created: datetime
    applied_version: str | None
    reason: str | None
    bundle_version: str | None
    input_sha256: str
    author: str
    source: str | None
    superseded_by: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """The input of one prediction, kept so that a correction can name it by its id alone.

    Args:
        prediction_id: as the service answered it.
        input: f32 of the input shape, finite.
        bundle_version: the version that made the prediction.
        created: aware.

    Raises:
        InvalidInput: a field does not fit.
    """

    prediction_id: str
    input: NDArray[np.float32]
    bundle_version: str
    created: datetime

    def __post_init__(self) -> None:
        """Check every field."""
        check_name("prediction_id", self.prediction_id)
        check_name("bundle_version", self.bundle_version)
        check_input("input", self.input)
        if self.created.tzinfo is None:
            raise InvalidInput("created", "a time with a zone", "a time without one")


@dataclass(frozen=True, slots=True)
class Claim:
    """Corrections lent to one worker.

    Args:
        token: the fence; the store takes results only from the holder of the newest token.
        expires: aware, UTC; from then on others may claim the same corrections.
        records: to be added, in the order in which they were posted; each of another input.
        subtract: to be taken out of the label map, where they are in it: what was withdrawn, what
            another correction has replaced, and what one of ``records`` replaces.
    """

    token: str
    expires: datetime
    records: tuple[FeedbackRecord, ...]
    subtract: tuple[FeedbackRecord, ...] = ()

    def replaced_by(self, feedback_id: str) -> tuple[str, ...]:
        """Ids of what has to go when one of ``records`` is added: they are of the same input."""
        new = {record.feedback_id: record.input_sha256 for record in self.records}
        digest = new[feedback_id]
        return tuple(old.feedback_id for old in self.subtract if old.input_sha256 == digest)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Corrections that a claim could take: queued ones, and those whose lease has ended.

    Args:
        count: how many.
        newest_seq: place of the newest one in the order in which all were posted; 0 for none.
        oldest: when the oldest one was posted; None for none.
        newest: when the newest one was.
        leaving: how many more a label map has to lose, which is due without any pause.
    """

    count: int
    newest_seq: int
    oldest: datetime | None
    newest: datetime | None
    leaving: int = 0


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """What could be labelled next, and what has been labelled.

    Args:
        captures: inputs for which nobody gave a label, each once, newest first.
        feedback: corrections that are or will be part of a bundle, newest first.
    """

    captures: tuple[Capture, ...]
    feedback: tuple[FeedbackRecord, ...]


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """How many corrections stand where, and since when the oldest one waits."""

    queued: int = 0
    claimed: int = 0
    applied: int = 0
    quarantined: int = 0
    replaced: int = 0
    superseded: int = 0
    withdrawing: int = 0
    withdrawn: int = 0
    rejected: int = 0
    oldest_queued: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """One line of a correction's history, which only grows.

    Claims and their ends are not in it: they tell which process was busy, not what became of a
    label, and a correction that waits for a free channel may be claimed any number of times.

    Args:
        feedback_id: of the correction.
        created: when; aware, UTC.
        actor: the person or the worker.
        status: what the correction was from then on.
        detail: the label, the version, the reason or the correction that prevails.
    """

    feedback_id: str
    created: datetime
    actor: str
    status: FeedbackStatus
    detail: str | None


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """Which corrections a listing shows; None is any."""

    status: FeedbackStatus | None = None
    label: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    """A part of a listing, newest first.

    Args:
        records: corrections without any after the page's limit.
        next_before: what to ask for next; None at the end.
    """

    records: tuple[FeedbackRecord, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class Dispute:
    """An input of which people say different things.

    Args:
        label: that prevails.
        voices: what every author said last of it, newest first.
    """

    label: str
    voices: tuple[FeedbackRecord, ...]


@dataclass(frozen=True, slots=True)
class DisputePage:
    """A part of the disputes, those spoken in last first.

    Args:
        disputes: without any after the page's limit.
        next_before: what to ask for next; None at the end.
    """

    disputes: tuple[Dispute, ...]
    next_before: int | None


def check_label(field_name: str, value: str) -> None:
    """Refuse a label whose name is not spelt as it will be compared.

    Raises:
        InvalidInput: no label can have this name, or it is not in normal form C.
    """
    if label_name(field_name, value) != value:
        raise InvalidInput(field_name, "Unicode normal form C", ascii(value))


def check_name(field_name: str, value: str, longest: int = MAX_NAME) -> None:
    """Refuse text that is empty, too long or holds what some database or log cannot.

    Raises:
        InvalidInput: control characters, NUL and lone surrogates are among the refused, and what
            turns the text around it about (U+202E) or breaks its line (U+2028).
    """
    if not 1 <= len(value) <= longest:
        raise InvalidInput(field_name, f"1 to {longest} characters", f"{len(value)} characters")
    # Most names are ids of ours, and there are as many as predictions.
    is_plain = value.isascii() and value.isprintable()
    if not is_plain and any(unicodedata.category(one) in _UNPRINTABLE for one in value):
        raise InvalidInput(field_name, "printable characters", "a control or format character")


def check_input(field_name: str, value: NDArray[np.float32]) -> None:
    """Refuse an array that is not float32, not of rank 1 to 4, empty or not finite.

    Raises:
        InvalidInput: with the property that does not fit.
    """
    if value.dtype != np.float32:
        raise InvalidInput(field_name, "float32", str(value.dtype))
    if not 1 <= value.ndim <= MAX_RANK or value.size == 0:
        raise InvalidInput(field_name, f"rank 1 to {MAX_RANK}, not empty", f"shape {value.shape}")
    if not np.isfinite(value).all():
        raise InvalidInput(field_name, "finite values", "NaN or infinity")
