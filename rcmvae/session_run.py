"""One run of a session: named tensors for a batch of inputs."""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from rcmvae.provider import is_accelerated

Run = Callable[[tuple[str, ...], NDArray[np.float32]], dict[str, NDArray[np.float32]]]
"""Outputs by name for inputs x, (N, *shape)."""

ROWS = 128
"""Of one run on the CPU. What lies between operators is then still in the caches when the next one
reads it, and the arena, which never shrinks, stays small (docs/decisions/0008).
"""


def run_of(session: ort.InferenceSession) -> Run:
    """The way of running that suits the session's first provider."""
    if is_accelerated(session.get_providers()):
        return bound_run(session, "cuda")
    return direct_run(session)


def direct_run(session: ort.InferenceSession) -> Run:
    """Without bindings: on the CPU they would cost more than they spare. In runs of ROWS."""

    def run(outputs: tuple[str, ...], x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        if len(x) <= ROWS:
            return dict(zip(outputs, session.run(outputs, {"x": x}), strict=True))
        starts = range(0, len(x), ROWS)
        parts = [session.run(outputs, {"x": x[start : start + ROWS]}) for start in starts]
        columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        return dict(zip(outputs, columns, strict=True))

    return run


def bound_run(session: ort.InferenceSession, device: str) -> Run:
    """With inputs and outputs bound to a device: one copy there, one wait, and the copies back.

    A binding belongs to one run, so that several threads may run at once.

    Args:
        session: whose first provider runs on the device.
        device: as ONNX Runtime names it, ``cuda`` or ``cpu``.
    """

    def run(outputs: tuple[str, ...], x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        binding = session.io_binding()
        value = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(x), device, 0)
        binding.bind_ortvalue_input("x", value)
        for name in outputs:
            binding.bind_output(name, device)
        session.run_with_iobinding(binding)
        return dict(zip(outputs, binding.copy_outputs_to_cpu(), strict=True))

    return run
