"""POST /labels/edits and DELETE /labels/edits/{edit_id}: labels renamed, merged, deleted, undone.

As with feedback, the store has it once the answer is sent, and the next retrain job counts it.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from rcmvae.errors import InvalidInput
from rcmvae.feedback import FeedbackStore, LabelEdit
from rcmvae.label_edit import Edit, check_edit
from service.access import principal_of
from service.feedback_request import parse_label
from service.json_body import kind_of
from service.json_response import json_response
from service.people_schemas import LabelEditAnswer
from service.predict_request import refuse_unknown
from service.problem import quoted, refusal
from service.routes.retrain import read_json
from service.runtime import runtime_of

_EDIT_ID = re.compile(r"edit-[0-9a-f]{12}")


async def post_label_edit(request: Request) -> Response:
    """Rename, merge or delete a label that came with feedback."""
    refuse_unknown(request.query_params, frozenset())
    document = await read_json(request, frozenset({"edit", "label", "into"}))
    edit, into = _edit(document.get("edit")), document.get("into")
    label = parse_label(document.get("label"), "label")
    other = None if into is None else parse_label(into, "into")
    runtime, by = runtime_of(request), principal_of(request).name
    check_edit(runtime.bundles.current().label_map, edit, label, other)

    def done(store: FeedbackStore) -> LabelEdit:
        return (
            store.delete_label(label, by) if other is None else store.rename_label(label, other, by)
        )

    return _answer(await runtime.store.run(done))


async def delete_label_edit(request: Request) -> Response:
    """Undo an edit."""
    refuse_unknown(request.query_params, frozenset())
    edit_id, by = str(request.path_params["edit_id"]), principal_of(request).name
    gone = refusal(404, "edit-not-found", "edit_id", "an edit not undone yet", quoted(edit_id))
    if not _EDIT_ID.fullmatch(edit_id):
        raise gone
    try:
        undone = await runtime_of(request).store.run(lambda s: s.undo_label_edit(edit_id, by))
    except InvalidInput:
        raise gone from None
    return _answer(undone)


def _edit(value: object) -> Edit:
    if not isinstance(value, str) or value not in list(Edit):
        actual = quoted(value) if isinstance(value, str) else kind_of(value)
        raise InvalidInput("edit", f"one of {', '.join(Edit)}", actual)
    return Edit(value)


def _answer(edit: LabelEdit) -> Response:
    answer = LabelEditAnswer(edit_id=edit.edit_id, corrections=len(edit.feedback_ids))
    return json_response(answer, 202)
