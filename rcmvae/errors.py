"""Every exception that this project raises on purpose.

RcmvaeError
|-- InvalidInput              what a caller sent does not fit; names field, expected and actual
|-- BundleError
|   |-- BundleNotFound        no such version, or the pointer names none
|   |-- BundleDamaged         a check failed; names the check and the file
|   |-- BundleFormatUnsupported  written by another format version
|   `-- BundleConflict        the pointer moved while a bundle was being published
|-- LabelMapError
|   |-- UnknownLabel          the label is not in the map
|   `-- NoFreeChannel         a new label found no channel to claim
|-- FeedbackError
|   |-- FeedbackNotFound      no feedback with this id
|   |-- PredictionNotFound    no captured prediction with this id
|   |-- JobNotFound           no retrain job with this id
|   |-- JobFailed             a retrain job ended in an error
|   |-- IdempotencyConflict   the key was used before with another body
|   |-- IdempotencyInFlight   the key's first use has not ended
|   |-- ClaimLost             a lease expired and another worker took the items
|   `-- StoreUnavailable      the database does not answer or refuses to write
|-- KeysRequired              a service that others can reach has no keys
|-- KeyFileError              the file of the API keys cannot be read or written
|-- ProviderUnavailable       the execution provider asked for is not on this machine
`-- TrainingError
    |-- DataError             a data source is missing or malformed
    |-- Diverged              the loss is no longer finite
    `-- ParityError           ONNX and torch disagree beyond the bound
"""


class RcmvaeError(Exception):
    """Root of every error raised on purpose."""


class InvalidInput(RcmvaeError):
    """What a caller sent does not fit.

    Args:
        field: path of the offending value, such as ``inputs[3]``.
        expected: what would have been accepted.
        actual: what came, described and never echoed in full.
    """

    def __init__(self, field: str, expected: str, actual: str) -> None:
        super().__init__(f"{field}: expected {expected}, got {actual}")
        self.field = field
        self.expected = expected
        self.actual = actual


class BundleError(RcmvaeError):
    """Something about a bundle."""


class BundleNotFound(BundleError):
    """No such version, or the pointer names none."""


class BundleDamaged(BundleError):
    """A check on a bundle failed.

    Args:
        check: short name of the check, such as ``sha256``.
        file: name of the file inside the bundle.
        detail: expected and actual.
    """

    def __init__(self, check: str, file: str, detail: str) -> None:
        super().__init__(f"{file}: check '{check}' failed: {detail}")
        self.check = check
        self.file = file
        self.detail = detail


class BundleFormatUnsupported(BundleError):
    """The bundle was written by a format version that this code does not read."""


class BundleConflict(BundleError):
    """The pointer moved while a bundle was being published."""


class LabelMapError(RcmvaeError):
    """Something about the channel-to-label map."""


class UnknownLabel(LabelMapError):
    """The label is not in the map."""


class NoFreeChannel(LabelMapError):
    """A new label found no channel to claim: only a refit can make room for it."""


class FeedbackError(RcmvaeError):
    """Something about the feedback store."""


class FeedbackNotFound(FeedbackError):
    """No feedback with this id."""


class PredictionNotFound(FeedbackError):
    """No captured prediction with this id."""


class JobNotFound(FeedbackError):
    """No retrain job with this id."""


class JobFailed(FeedbackError):
    """A retrain job ended in an error, which the message has."""


class IdempotencyConflict(FeedbackError):
    """The idempotency key was used before with another body."""


class IdempotencyInFlight(FeedbackError):
    """The first use of the idempotency key has not ended; the same request may come again."""


class ClaimLost(FeedbackError):
    """The lease on claimed feedback expired and another worker took it."""


class StoreUnavailable(FeedbackError):
    """The database does not answer or refuses to write."""


class KeysRequired(RcmvaeError):
    """A service that others can reach has no keys, and was not told to do without."""


class KeyFileError(RcmvaeError):
    """The file of the API keys cannot be read or written."""


class ProviderUnavailable(RcmvaeError):
    """The execution provider asked for is not on this machine."""


class TrainingError(RcmvaeError):
    """Something about a training run."""


class DataError(TrainingError):
    """A data source is missing or malformed."""


class Diverged(TrainingError):
    """The loss is no longer finite."""


class ParityError(TrainingError):
    """ONNX and torch disagree beyond the stated bound."""
