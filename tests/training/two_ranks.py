"""What every rank does in test_ranks.py: `torchrun ... -m tests.training.two_ranks FOLDER`.

Each rank writes what it found to `<rank>.safetensors`.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.training.tiny import tiny_config, tiny_dataset
from training.fit import fit
from training.objective import mutual_information
from training.ranks import average_gradients, draw_apart, gathered, joined, own_part, rank

SHORT = ("fit.epochs=30", "fit.checkpoint_epochs=4", "fit.checkpoint_seconds=1000")


def views(count: int = 8, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, count, width, generator=generator)
    return first, second


def loss_of(weight: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """A statistic of the batch that is no mean over inputs, and a mean over inputs."""
    r_first, r_second = (first @ weight).softmax(dim=1), (second @ weight).softmax(dim=1)
    information = mutual_information(gathered(r_first), gathered(r_second))
    return r_first.square().sum(dim=1).mean() - 2.0 * information


def gradient_over_ranks() -> Tensor:
    weight = torch.nn.Parameter(torch.eye(5))
    first, second = views()
    loss_of(weight, own_part(first), own_part(second)).backward()  # type: ignore[no-untyped-call]
    average_gradients([weight])
    assert weight.grad is not None
    return weight.grad


def numbers_drawn() -> Tensor:
    """One before the ranks draw apart, and one after."""
    torch.manual_seed(5)
    before = torch.rand(1)
    draw_apart()
    return torch.cat([before, torch.rand(1)])


def main(folder: Path) -> None:
    with joined(torch.device("cpu")):
        found = {"gradient": gradient_over_ranks(), "numbers": numbers_drawn()}
        state = fit(tiny_dataset(), tiny_config(*SHORT), quiet=True)
        losses = torch.tensor([record.loss for record in state.history], dtype=torch.float64)
        own = {"counts": state.counts, "usage": state.usage, "losses": losses}
        weights = state.network.state_dict()
        save_file({**found, **own, **weights}, folder / f"{rank()}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
