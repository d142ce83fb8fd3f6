"""The answer to an inference request, in JSON or with binary tensors behind it."""

from collections.abc import Sequence

import orjson
from starlette.responses import Response

from service.answer import Answer
from service.oip.infer_request import InferRequest, RequestedOutput
from service.oip.outputs import OUTPUTS
from service.wire.media_types import JSON, OCTETS

LENGTH_HEADER = "Inference-Header-Content-Length"


def infer_response(model: str, request: InferRequest, answer: Answer) -> Response:
    """The whole response.

    Args:
        model: its name.
        request: what was asked.
        answer: of its rows.
    """
    described, tails = _written(request.outputs, answer)
    document = {
        "model_name": model,
        "model_version": answer.header.bundle_version,
        **({} if request.request_id is None else {"id": request.request_id}),
        "parameters": {"alpha": answer.header.alpha, "coverage": answer.header.coverage},
        "outputs": described,
    }
    head = orjson.dumps(document)
    if not any(output.binary for output in request.outputs):
        return Response(head, media_type=JSON)
    headers = {LENGTH_HEADER: str(len(head))}
    return Response(b"".join((head, *tails)), headers=headers, media_type=OCTETS)


def _written(
    outputs: Sequence[RequestedOutput], answer: Answer
) -> tuple[list[dict[str, object]], list[bytes]]:
    described: list[dict[str, object]] = []
    tails: list[bytes] = []
    for output in outputs:
        tensor = OUTPUTS[output.name].tensor(output.name, answer)
        if output.binary:
            tails.append(tensor.to_bytes())
            value: dict[str, object] = {"parameters": {"binary_data_size": len(tails[-1])}}
        else:
            value = {"data": tensor.to_list()}
        described.append(tensor.described() | value)
    return described, tails
