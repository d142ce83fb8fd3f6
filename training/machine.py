"""What a fit computes on, and how: device, precision, and whether the network is compiled."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rcmvae.errors import InvalidInput
from training.config import FitConfig
from training.model.likelihood import Decoded
from training.model.network import RcmVae
from training.ranks import local_count, local_rank


@dataclass(frozen=True, slots=True)
class Machine:
    """How a fit computes.

    Attributes:
        device: where data and network are.
        bfloat16: whether the encoder's trunk and the decoder run in bfloat16; the heads, the terms
            and the optimiser are in float32 always.
        compiled: whether the same two go through torch.compile.
    """

    device: torch.device
    bfloat16: bool
    compiled: bool


def machine_for(config: FitConfig) -> Machine:
    """What the configuration asks for; ``auto`` is what this machine is good at.

    Raises:
        InvalidInput: CUDA is asked for where there is none.
    """
    device = _device(config)
    if config.precision == "auto":
        bfloat16 = has_fast_bfloat16(device)
    else:
        bfloat16 = config.precision == "bfloat16"
    on_cuda = device.type == "cuda"
    return Machine(device, bfloat16, on_cuda if config.compile == "auto" else config.compile)


def _device(config: FitConfig) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    enough = count >= local_count()
    if config.device == "cuda" and not enough:
        expected = (
            f"'cpu' or 'auto' where torch finds {count} CUDA devices for {local_count()} ranks"
        )
        raise InvalidInput("fit.device", expected, "'cuda'")
    if config.device == "cpu" or not enough:
        return torch.device("cpu")
    return torch.device("cuda", local_rank())


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public question for the instructions of a CPU.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def set_up(network: RcmVae, machine: Machine) -> Iterator[None]:
    """The network on the machine for the time of the block; on the CPU and plain after it.

    Only what the two large parts do when called is exchanged: no weight gets another name or type,
    so that checkpoints and exports know nothing of it.
    """
    network.to(machine.device)
    with ExitStack() as parts:
        for part in (network.encoder.trunk, network.decoder):
            parts.enter_context(_exchanged(part, machine))
        yield
    network.to("cpu")


@contextmanager
def _exchanged(part: nn.Module, machine: Machine) -> Iterator[None]:
    """What the module computes when called, compiled and in bfloat16 where that is asked for."""
    if not (machine.compiled or machine.bfloat16):
        yield
        return
    forward = torch.compile(part.forward) if machine.compiled else part.forward
    # An attribute of the instance goes before the method of its class, until it is deleted.
    vars(part)["forward"] = in_bfloat16(forward, machine.device) if machine.bfloat16 else forward
    try:
        yield
    finally:
        del vars(part)["forward"]


def in_bfloat16(
    forward: Callable[..., Tensor | Decoded], device: torch.device
) -> Callable[..., Tensor | Decoded]:
    """The same under autocast; what comes out is float32 again."""

    def reduced(*inputs: Tensor) -> Tensor | Decoded:
        with torch.autocast(device.type, torch.bfloat16):
            out = forward(*inputs)
        if isinstance(out, Tensor):
            return out.float()
        return Decoded(out.logits.float(), None if out.spread is None else out.spread.float())

    return reduced
