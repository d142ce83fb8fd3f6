"""The outputs of the model: what an answer looks like as tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcmvae.bundle import Manifest
from service.answer import Answer
from service.oip.tensor import Tensor, text_tensor

_Values = Callable[[Answer], NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the model.

    Attributes:
        datatype: of the protocol.
        axis: what stands along its second axis: ``label``, ``score``, ``channel`` or ``position``;
            None where it has only the batch.
        tensor: of an answer.
        by_default: whether a request that names no outputs gets it.
    """

    datatype: str
    axis: str | None
    tensor: Callable[[str, Answer], Tensor]
    by_default: bool = True


def _numbers(datatype: str, values: _Values, axis: str | None = None) -> Output:
    return Output(datatype, axis, lambda name, answer: Tensor(name, datatype, values(answer)))


OUTPUTS: Mapping[str, Output] = {
    "probabilities": _numbers("FP32", lambda a: a.batch.probabilities, "label"),
    "label": Output("BYTES", None, lambda name, a: text_tensor(name, list(a.labels))),
    "decision": Output(
        "BYTES", None, lambda name, a: text_tensor(name, [str(d) for d in a.decisions])
    ),
    "prediction_id": Output("BYTES", None, lambda name, a: text_tensor(name, list(a.ids))),
    "p_familiar": _numbers("FP64", lambda a: a.batch.p_familiar),
    "p_owned": _numbers("FP64", lambda a: a.batch.p_owned),
    "label_p_values": _numbers("FP64", lambda a: a.batch.label_p_values, "label"),
    "prediction_set": _numbers("BOOL", lambda a: a.batch.label_p_values > a.header.alpha, "label"),
    "scores": _numbers("FP32", lambda a: a.batch.scores, "score"),
    "total": _numbers("FP32", lambda a: a.batch.uncertainty.total),
    "aleatoric": _numbers("FP32", lambda a: a.batch.uncertainty.aleatoric),
    "channel_ambiguity": _numbers("FP32", lambda a: a.batch.uncertainty.channel_ambiguity),
    "label_map_ignorance": _numbers("FP32", lambda a: a.batch.uncertainty.label_map_ignorance),
    "channel": _numbers("INT64", lambda a: a.batch.channel),
    "position": _numbers("FP32", lambda a: a.batch.position, "position"),
    "responsibilities": Output(
        "FP32",
        "channel",
        lambda name, a: Tensor(name, "FP32", a.batch.responsibilities),
        by_default=False,
    ),
}
DEFAULT_OUTPUTS = tuple(name for name, output in OUTPUTS.items() if output.by_default)


def shape_of(output: Output, manifest: Manifest, scores: int) -> list[int]:
    """The shape of an output of a bundle; -1 is the batch."""
    lengths = {
        "label": len(manifest.labels),
        "score": scores,
        "channel": manifest.num_channels,
        "position": 2,
    }
    return [-1] if output.axis is None else [-1, lengths[output.axis]]
