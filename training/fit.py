"""The training loop: visible, resumable, and loud when the loss is no longer finite."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from rcmvae.errors import Diverged
from training.augment import views
from training.checkpoint import read_checkpoint, write_checkpoint
from training.config import RunConfig
from training.data import Dataset
from training.model.encoder import Encoding
from training.objective import (
    Terms,
    TermWeights,
    combine,
    elbo_terms,
    label_assignment,
    mutual_information,
    posterior_mean,
    supervised_nll,
    top_channels,
    usage_entropy,
    weights_at,
)
from training.state import EpochRecord, FitState, new_state
from training.threads import thread_count


@dataclass(frozen=True, slots=True)
class Tensors:
    """The data of the fit on the device."""

    unlabelled: Tensor
    labelled_x: Tensor
    labelled_y: Tensor


def fit(
    dataset: Dataset,
    config: RunConfig,
    checkpoint: Path | None = None,
    *,
    start: FitState | None = None,
    on_epoch: Callable[[], None] | None = None,
    quiet: bool = False,
) -> FitState:
    """Fit the network; continue from ``checkpoint`` where it exists.

    Args:
        dataset: what to fit on; neither its calibration nor its test part is touched.
        config: the run.
        checkpoint: file that is written now and then, and read first; None for none.
        start: a state to continue from; None for a new one.
        on_epoch: called after every epoch.
        quiet: no progress bar.

    Raises:
        Diverged: the loss is not finite; names the epoch and the terms.
    """
    torch.set_num_threads(thread_count(config.fit.threads))
    state = start if start is not None else new_state(dataset, config)
    if checkpoint is not None and checkpoint.is_file():
        read_checkpoint(checkpoint, state)
    tensors = _tensors(dataset)
    epochs = range(state.epoch, config.fit.epochs)
    # A terminal is redrawn often; a log gets a line now and then.
    pause = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(epochs, desc="fit", unit="epoch", disable=quiet, mininterval=pause) as bar:
        for epoch in bar:
            record = _fit_epoch(state, tensors, config, epoch)
            bar.set_postfix(_shown(record), refresh=False)
            if checkpoint is not None and _is_due(epoch, config):
                write_checkpoint(checkpoint, state)
            if on_epoch is not None:
                on_epoch()
    return state


def _shown(record: EpochRecord) -> dict[str, str]:
    return {"loss": f"{record.loss:.2f}", "channels": f"{record.effective_channels:.1f}"}


def _tensors(dataset: Dataset) -> Tensors:
    return Tensors(
        torch.from_numpy(dataset.unlabelled),
        torch.from_numpy(dataset.labelled.x),
        torch.from_numpy(dataset.labelled.y),
    )


def _is_due(epoch: int, config: RunConfig) -> bool:
    done = epoch + 1
    return done % config.fit.checkpoint_epochs == 0 or done == config.fit.epochs


def _fit_epoch(state: FitState, tensors: Tensors, config: RunConfig, epoch: int) -> EpochRecord:
    # The generator depends on seed and epoch alone, so that a resumed run sees the same batches.
    torch.manual_seed(config.seed * 100_003 + epoch)
    state.network.train()
    terms = [
        _step(state, x, tensors, config, progress)
        for x, progress in _batches(tensors.unlabelled, config, epoch)
    ]
    means = torch.tensor(np.array([[float(t) for t in step] for step in terms])).mean(dim=0)
    record = _record(epoch, means)
    state.epoch = epoch + 1
    state.history.append(record)
    return record


def _record(epoch: int, means: Tensor) -> EpochRecord:
    loss, reconstruction, kl, supervised, entropy, channels, labels = means.tolist()
    effective = math.exp(entropy)
    return EpochRecord(epoch, loss, reconstruction, kl, supervised, effective, channels, labels)


def _batches(x: Tensor, config: RunConfig, epoch: int) -> Iterator[tuple[Tensor, float]]:
    """Batches of one epoch, and the progress of the run in [0, 1) at each."""
    order = torch.randperm(len(x))
    steps = max(1, len(x) // config.fit.batch)
    for step in range(steps):
        index = order[step * config.fit.batch : (step + 1) * config.fit.batch]
        yield x[index], (epoch + step / steps) / config.fit.epochs


def _step(
    state: FitState, x: Tensor, tensors: Tensors, config: RunConfig, progress: float
) -> Terms:
    set_learning_rate(state.optimizer, one_cycle(progress, config.fit.peak_lr))
    terms = compute_terms(state, x, tensors, config, weights_at(progress, config.objective))
    _require_finite(terms, progress * config.fit.epochs)
    state.optimizer.zero_grad(set_to_none=True)
    terms.loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.fit.clip)
    state.optimizer.step()
    return Terms(*(term.detach() for term in terms))


def _require_finite(terms: Terms, epoch: float) -> None:
    """Stop before a step spoils the weights: the last checkpoint stays good."""
    if not math.isfinite(terms.loss.item()):
        values = ", ".join(f"{name}={term.item():.4g}" for name, term in terms._asdict().items())
        raise Diverged(
            f"epoch {epoch:.2f}: expected a finite loss, got {values}; "
            "check the inputs for NaN, or lower fit.peak_lr"
        )


def compute_terms(
    state: FitState, x: Tensor, tensors: Tensors, config: RunConfig, weights: TermWeights
) -> Terms:
    """All terms for one batch of unlabelled x (B, *shape); the label counts move along.

    Two views of every unlabelled input and one of every labelled one go through the encoder
    together; the first view is the one that is reconstructed.
    """
    objective, size = config.objective, len(x)
    pick = torch.randint(len(tensors.labelled_y), (config.fit.labelled_batch,))
    label = tensors.labelled_y[pick]
    seen = views(torch.cat([x, x, tensors.labelled_x[pick]]), config.augment)
    encoding = state.network.encode(seen)
    responsibilities = encoding.logits.softmax(dim=1)
    first, second = responsibilities[:size], responsibilities[size : 2 * size]
    owned = responsibilities[2 * size :]
    routing = top_channels(first, objective.top_channels)
    first_view = Encoding(*(part[:size] for part in encoding))
    reconstruction, kl = elbo_terms(state.network, seen[:size], first_view, routing)
    counts = update_counts(state, owned.detach(), label, config)
    return combine(
        reconstruction / x[0].numel(),
        kl / x[0].numel(),
        supervised_nll(owned, posterior_mean(counts, objective.alpha0), label),
        usage_entropy(first),
        mutual_information(first, second),
        mutual_information(
            label_assignment(first, counts, objective.alpha0),
            label_assignment(second, counts, objective.alpha0),
        ),
        weights=weights,
        config=objective,
    )


def update_counts(state: FitState, owned: Tensor, label: Tensor, config: RunConfig) -> Tensor:
    """Decay the counts, add the batch, and return them in units of labelled examples, (K, C)."""
    onehot = torch.nn.functional.one_hot(label, state.counts.shape[1]).to(owned)
    state.counts = config.objective.count_decay * state.counts + owned.T @ onehot
    return state.counts * (config.data.labels / state.counts.sum())


def one_cycle(progress: float, peak: float, warm: float = 0.25) -> float:
    """Learning rate at ``progress``: cosine from peak/25 up to peak, then down to near zero.

    Smith and Topin 2018. It depends on progress alone, so that a resumed run needs no state.
    """
    if progress < warm:
        return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / warm)))
    return peak * (1e-3 + 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm))))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
