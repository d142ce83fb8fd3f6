"""The state of a fit: what the loop changes, and what a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from training.averaging import average_of
from training.config import RunConfig
from training.data import Dataset
from training.model.network import RcmVae, channel_count
from training.model.priors import VampPrior
from training.recipe import require_settled

# A prime, so that the attempts of neighbouring seeds do not meet.
_ATTEMPT_SEEDS = 104_729


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """Means of the objective's terms over one epoch, in nats, and the effective channels.

    A term that is off is zero.

    Attributes:
        usage: mean responsibilities of every channel over the epoch's unlabelled views, K values
            that sum to one; empty in a record that an older version wrote.
        seconds: wall time of the epoch, 0 where an older version wrote the record; two runs of one
            seed are equal without it.
    """

    epoch: int
    loss: float
    reconstruction: float
    kl: float
    supervised: float
    effective_channels: float
    channel_agreement: float
    label_agreement: float
    pseudo_label: float = 0.0
    graph_label: float = 0.0
    channel_kl: float = 0.0
    dirichlet: float = 0.0
    repulsion: float = 0.0
    peakiness: float = 0.0
    contrastive: float = 0.0
    variance: float = 0.0
    discrepancy: float = 0.0
    usage: tuple[float, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EpochRecord":
        """Read a record back.

        Raises:
            TypeError, ValueError: it is no record: a field is missing, unknown or of another kind.
        """
        fields = dict(values)
        fields["usage"] = tuple(float(share) for share in fields.get("usage", ()))
        return cls(**fields)


@dataclass(slots=True)
class FitState:
    """Everything that a resumed run needs.

    Attributes:
        network: the network.
        optimizer: with its moments.
        counts: decayed soft label counts of the training loop, (K, C).
        usage: moving sum of the mean responsibilities, (K,).
        epoch: epochs done.
        history: one record for each of them.
        attempt: restarts before this one (training/restart.py).
        average: moving average of the weights (training/averaging.py); None where there is none.
    """

    network: RcmVae
    optimizer: torch.optim.AdamW
    counts: Tensor
    usage: Tensor
    epoch: int
    history: list[EpochRecord]
    attempt: int = 0
    average: AveragedModel | None = None

    @property
    def served(self) -> RcmVae:
        """What gives targets and goes into the bundle: the average, where there is one."""
        return self.network if self.average is None else cast(RcmVae, self.average.module)

    def begin_average(self, decay: float) -> None:
        """Begin a moving average at the present weights; none where ``decay`` is 0."""
        self.average = average_of(self.network, decay) if decay else None


def seed_of(config: RunConfig, attempt: int) -> int:
    """Seed of the weights and batches of one attempt; the split of the data stays."""
    return config.seed + _ATTEMPT_SEEDS * attempt


def new_state(dataset: Dataset, config: RunConfig, attempt: int = 0) -> FitState:
    """A state before the first step; its weights depend on the seed and the attempt alone.

    Raises:
        InvalidInput: the configuration is not settled.
    """
    require_settled(config)
    torch.manual_seed(seed_of(config, attempt))
    num_channels = channel_count(config.model, len(dataset.held_labels))
    network = RcmVae(dataset.shape, config.model, num_channels, dataset.scaling)
    if isinstance(network.prior, VampPrior):
        network.prior.start_from(torch.from_numpy(dataset.scaled(dataset.unlabelled)))
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=config.fit.peak_lr,
        weight_decay=config.fit.weight_decay,
        # Fewer calls than tensor by tensor, and the same bits (docs/decisions/0007-speed.md).
        foreach=True,
    )
    counts = torch.zeros(num_channels, len(dataset.labels))
    state = FitState(network, optimizer, counts, torch.zeros(num_channels), 0, [], attempt)
    state.begin_average(config.fit.average)
    return state
