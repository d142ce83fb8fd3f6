"""The inputs behind the points of the picture, by the points' ids."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rcmvae.input_rows import fits
from service.points import Source
from service.runtime import Runtime
from service.served import Served

ID_FORM = "the id of a point: r-<number>, a prediction id or a feedback id"

_REFERENCE = re.compile(r"r-[0-9]{1,18}")
_FEEDBACK = re.compile(r"[0-9a-f]{32}")
_PREDICTION = re.compile(r"[0-9A-Za-z_-]{1,64}")


def source_of(point_id: str) -> Source | None:
    """Where the point of an id comes from, by its form; None where no point can have it."""
    if _REFERENCE.fullmatch(point_id):
        return Source.REFERENCE
    if _FEEDBACK.fullmatch(point_id):
        return Source.FEEDBACK
    return Source.CAPTURE if _PREDICTION.fullmatch(point_id) else None


async def point_inputs(
    runtime: Runtime, served: Served, point_ids: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Inputs of the signature's shape by id; what is not kept, or fits no more, is left out.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    named = {kind: [i for i in point_ids if source_of(i) is kind] for kind in Source}
    found: dict[str, NDArray[np.float32]] = {}
    if named[Source.CAPTURE]:
        captures = await runtime.captures.find(named[Source.CAPTURE])
        found |= {name: capture.input for name, capture in captures.items()}
    if named[Source.FEEDBACK]:
        names = named[Source.FEEDBACK]
        found |= await runtime.store.run(lambda store: store.labelled_inputs(names))
    for name in named[Source.REFERENCE]:
        x = served.reference.input(name) if served.reference else None
        if x is not None:
            found[name] = x
    return {name: x for name, x in found.items() if fits(x, served.manifest.input)}
