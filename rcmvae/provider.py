"""Which ONNX Runtime execution providers to ask for, and which of them really come up."""

from collections.abc import Sequence

import onnxruntime
from onnx import TensorProto, helper

from rcmvae.errors import ProviderUnavailable

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
BY_NAME = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}
"""Providers that may be asked for, by the names that settings use."""


def is_accelerated(active: Sequence[str]) -> bool:
    """Whether the first provider of a session computes on a GPU."""
    return bool(active) and active[0] in {CUDA, TENSORRT}


def choose_providers(
    available: Sequence[str], *, wanted: Sequence[str] = (), require_cuda: bool
) -> tuple[str, ...]:
    """Those wanted, or CUDA first where it is compiled in; the CPU always as the last resort.

    Args:
        available: what ``onnxruntime.get_available_providers()`` lists.
        wanted: providers in the order of preference; empty for the best that is there, but for
            TensorRT, which takes minutes to start.
        require_cuda: whether to refuse a machine without CUDA.

    Raises:
        ProviderUnavailable: one that is wanted, or CUDA where it is required, is not listed.
    """
    if wanted:
        for provider in wanted:
            if provider not in available:
                raise _unavailable(provider, available)
        chosen = (*(p for p in wanted if p != CPU), CPU)
        require_active(chosen, require_cuda=require_cuda)
        return chosen
    if CUDA in available:
        return (CUDA, CPU)
    require_active((CPU,), require_cuda=require_cuda)
    return (CPU,)


def require_active(active: Sequence[str], *, require_cuda: bool) -> None:
    """Refuse a session that fell back to the CPU although CUDA is required.

    Args:
        active: what ``session.get_providers()`` of an open session lists.
        require_cuda: whether CUDA must be among them.

    Raises:
        ProviderUnavailable: CUDA is required and not active.
    """
    if require_cuda and CUDA not in active:
        raise _unavailable(CUDA, active)


def _unavailable(provider: str, found: Sequence[str]) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"execution provider: expected {provider}, got {', '.join(found) or 'none'}"
    )


def machine_providers(*, wanted: Sequence[str] = (), require_cuda: bool) -> tuple[str, ...]:
    """Providers that a session gets on this machine, found by opening the smallest session.

    ONNX Runtime for GPUs lists CUDA on a machine without one and falls back to the CPU with no
    more than a warning, so the list alone proves nothing.

    Args:
        wanted: providers in the order of preference; empty for the best that is there.
        require_cuda: whether to refuse a machine without CUDA.

    Raises:
        ProviderUnavailable: the session did not come up with one that is wanted or required.
    """
    available = onnxruntime.get_available_providers()
    chosen = choose_providers(available, wanted=wanted, require_cuda=require_cuda)
    if is_accelerated(chosen):
        # CUDA and cuDNN come as packages: no linker path leads to them.
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(_identity_graph(), providers=list(chosen))
    active = tuple(session.get_providers())
    require_active(active, require_cuda=require_cuda)
    for provider in wanted:
        if provider not in active:
            raise _unavailable(provider, active)
    return active


def _identity_graph() -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized
