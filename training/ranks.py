"""Several processes that train one network, each on its share of every batch.

torchrun starts them (`torchrun --nproc-per-node=N -m training train RUN`). They hold the same
weights, draw views and noise of their own, and take one step together on the mean of their
gradients. What is a statistic of the batch is computed over the gathered batch, on every rank
alike: docs/decisions/0007-speed.md. Without torchrun there is one rank, and every function here
gives back what it is given.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed
from torch.autograd.function import FunctionCtx

from rcmvae.errors import DataError, InvalidInput

_SEEDS = 2**31


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Meet the other ranks for the time of the block, where torchrun started this process.

    Args:
        device: that the ranks compute on; it decides what carries their messages.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    on_cuda = device.type == "cuda"
    distributed.init_process_group(
        "nccl" if on_cuda else "gloo", device_id=device if on_cuda else None
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank_count() -> int:
    """Ranks that train together; 1 outside of ``joined``."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Number of this one, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this rank is the one that writes files and talks."""
    return rank() == 0


def local_rank() -> int:
    """Number of this process among those that torchrun started on this machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if distributed.is_torchelastic_launched() else 0


def local_count() -> int:
    """Processes that torchrun started on this machine; 1 without it."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1


def require_divisible(field: str, size: int) -> None:
    """Refuse a batch that the ranks cannot share evenly: their means would weigh unlike.

    Raises:
        InvalidInput: names the field.
    """
    if size % rank_count():
        raise InvalidInput(field, f"a multiple of the {rank_count()} ranks", str(size))


def own_part(batch: Tensor) -> Tensor:
    """This rank's rows of a batch that all ranks know; what is left over goes to none."""
    size = len(batch) // rank_count()
    return batch[rank() * size : (rank() + 1) * size]


def draw_apart() -> None:
    """From here on every rank draws random numbers of its own; before, all drew the same.

    The seeds are drawn too: torch's CPU generator reads the lower 32 bits of a seed alone, so that
    seeds that are counted up could meet those of other epochs.
    """
    if rank_count() > 1:
        seeds = torch.randint(_SEEDS, (rank_count(),)).tolist()
        torch.manual_seed(seeds[rank()])


class _Gather(torch.autograd.Function):
    """Rows of all ranks; the gradient is that of this rank's own rows, times the ranks."""

    @staticmethod
    def forward(_: FunctionCtx, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(rank_count())]
        distributed.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(_: FunctionCtx, gradient: Tensor) -> Tensor:
        return rank_count() * own_part(gradient)


def gathered(own: Tensor) -> Tensor:
    """Rows of all ranks in their order, (N * B, ...), of this rank's rows (B, ...).

    Made for a loss that every rank computes from it in the same way. Then no gradient has to
    travel: that of the own rows, times the ranks N, becomes right in ``average_gradients``.
    """
    if rank_count() == 1:
        return own
    rows: Tensor = _Gather.apply(own.contiguous())  # type: ignore[no-untyped-call]
    return rows


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its mean over the ranks, in one message."""
    if rank_count() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = averaged(torch.cat([gradient.flatten() for gradient in gradients]))
    start = 0
    for gradient in gradients:
        part = flat[start : start + gradient.numel()]
        gradient.copy_(part.view(gradient.shape))
        start += gradient.numel()


def averaged(values: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, the same bits on each of them."""
    if rank_count() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / rank_count()


def require_same(digest: Tensor, what: str) -> None:
    """Refuse ranks that do not agree, such as by a run folder that only some of them see.

    Args:
        digest: numbers that agree where the ranks do, (n,).
        what: that it stands for.

    Raises:
        DataError: on every rank.
    """
    if rank_count() == 1:
        return
    rows = gathered(digest.unsqueeze(0))
    if not torch.equal(rows, rows[:1].expand_as(rows)):
        raise DataError(f"ranks: expected the same {what} on all {rank_count()} of them")
