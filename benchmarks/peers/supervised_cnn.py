"""A plain supervised network on the labelled images alone: what unlabelled ones have to beat."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.peers.peer import known_test, share_right
from training.augment import views
from training.config import RunConfig
from training.data import Dataset
from training.encode import chunks
from training.fit import one_cycle, set_learning_rate
from training.model.encoder import build_encoder
from training.threads import thread_count

STEPS = 2000


@dataclass(frozen=True, slots=True)
class SupervisedCnn:
    """Our encoder's trunk with a linear head, cross-entropy, our augmentation and optimiser.

    Trunk, augmentation and weight decay are those of our run.

    Attributes:
        steps: of the optimiser.
        batch: labelled inputs a step, drawn with replacement.
        peak_lr: highest rate of the one-cycle schedule.
    """

    steps: int = STEPS
    batch: int = 64
    peak_lr: float = 1e-3

    def accuracy(self, dataset: Dataset, run: RunConfig) -> float:
        """See ``Peer``."""
        test = known_test(dataset)
        return share_right(answers(self.fitted(dataset, run), test.x), test)

    def fitted(self, dataset: Dataset, run: RunConfig) -> nn.Module:
        """The network, fitted to the labelled inputs."""
        torch.set_num_threads(thread_count(run.fit.threads))
        torch.manual_seed(run.seed)
        network = build_classifier(dataset, run)
        self._train(network, dataset, run)
        return network

    def _train(self, network: nn.Module, dataset: Dataset, run: RunConfig) -> None:
        x, y = (torch.from_numpy(part) for part in (dataset.labelled.x, dataset.labelled.y))
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=self.peak_lr, weight_decay=run.fit.weight_decay
        )
        network.train()
        for step in range(self.steps):
            set_learning_rate(optimizer, one_cycle(step / self.steps, self.peak_lr))
            pick = torch.randint(len(y), (self.batch,))
            logits = network(views(x[pick], run.augment))
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(logits, y[pick]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def build_classifier(dataset: Dataset, config: RunConfig) -> nn.Sequential:
    """The trunk of our encoder and one linear layer onto the labels."""
    trunk = build_encoder(dataset.shape, config.model, num_channels=1).trunk
    return nn.Sequential(trunk, nn.Linear(config.model.features, len(dataset.labels)))


def answers(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """The largest logit of every input (n, *shape), int64 (n,)."""
    return np.asarray(logits_of(network, x).argmax(axis=1), dtype=np.int64)


def logits_of(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of every input (n, *shape), (n, C)."""
    network.eval()
    with torch.no_grad():
        inputs = torch.from_numpy(x)
        parts: list[Tensor] = [network(inputs[rows]) for rows in chunks(len(x))]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)
