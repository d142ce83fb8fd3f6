"""Which ONNX Runtime execution providers to ask for, and which of them really come up."""

from collections.abc import Sequence

import onnxruntime
from onnx import TensorProto, helper

from rcmvae.errors import ProviderUnavailable

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


def choose_providers(available: Sequence[str], *, require_cuda: bool) -> tuple[str, ...]:
    """CUDA first where it is compiled in, the CPU always as the last resort.

    Args:
        available: what ``onnxruntime.get_available_providers()`` lists.
        require_cuda: whether to refuse a machine without CUDA.

    Raises:
        ProviderUnavailable: CUDA is required and not listed.
    """
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
        raise ProviderUnavailable(
            f"execution provider: expected {CUDA}, got {', '.join(active) or 'none'}"
        )


def machine_providers(*, require_cuda: bool) -> tuple[str, ...]:
    """Providers that a session gets on this machine, found by opening the smallest session.

    ONNX Runtime for GPUs lists CUDA on a machine without one and falls back to the CPU with no
    more than a warning, so the list alone proves nothing.

    Raises:
        ProviderUnavailable: CUDA is required, and the session did not come up with it.
    """
    wanted = choose_providers(onnxruntime.get_available_providers(), require_cuda=require_cuda)
    if CUDA in wanted:
        # CUDA and cuDNN come as packages: no linker path leads to them.
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(_identity_graph(), providers=list(wanted))
    active = tuple(session.get_providers())
    require_active(active, require_cuda=require_cuda)
    return active


def _identity_graph() -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized
