"""What people at the page are told besides: their key, disputes, points, edits of labels."""

from pydantic import Field

from rcmvae.label_edit import Edit
from service.access import Scope
from service.schemas import FeedbackState, Row, Wire


class KeyAnswer(Wire):
    """Answer of GET /key."""

    owner: str = Field(description="Whose key it is; anonymous without keys.")
    has_key: bool = Field(description="False where no keys are configured.")
    scopes: list[Scope] = Field(description="All that it is good for; admin brings the others.")


class DisputeState(Wire):
    """An input of which people say different things."""

    label: str = Field(description="That prevails.")
    voices: list[FeedbackState] = Field(
        description="What every author said last of it, newest first."
    )


class DisputesAnswer(Wire):
    """Answer of GET /disputes, the ones spoken in last first."""

    disputes: list[DisputeState]
    next: str | None = Field(description="Cursor of the next part; null at the end.")


class PointAnswer(Wire):
    """Answer of GET /points/{point_id}."""

    point_id: str
    input: Row


class LabelEditBody(Wire):
    """Body of POST /labels/edits."""

    edit: Edit
    label: str = Field(description="Whose examples; one that came with feedback.")
    into: str | None = Field(None, description="The other name; not to delete.")


class LabelEditAnswer(Wire):
    """Answer of an edit of a label, sent once it is durable."""

    edit_id: str = Field(description="By which it can be undone.")
    corrections: int = Field(ge=0, description="That it added or took back.")
