"""The training loop: visible, resumable, and loud when the loss is no longer finite."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from rcmvae.errors import Diverged
from training.batch import Batch, Tensors, compute_terms
from training.checkpoint import read_checkpoint, write_checkpoint
from training.config import RunConfig
from training.curriculum import logit_bias
from training.data import Dataset
from training.objective import batch_usage
from training.state import EpochRecord, FitState, new_state
from training.terms.term import combine
from training.threads import thread_count


def fit(
    dataset: Dataset,
    config: RunConfig,
    checkpoint: Path | None = None,
    *,
    start: FitState | None = None,
    on_epoch: Callable[[FitState], None] | None = None,
    quiet: bool = False,
) -> FitState:
    """Fit the network; continue from ``checkpoint`` where it exists.

    Args:
        dataset: what to fit on; neither its calibration nor its test part is touched.
        config: the run.
        checkpoint: file that is written now and then, and read first; None for none.
        start: a state to continue from; None for a new one.
        on_epoch: called after every epoch with the state, which it must not change.
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
                on_epoch(state)
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
    bias = _logit_bias(state, config)
    started, usage, steps = time.perf_counter(), torch.zeros_like(state.usage), []
    for x, progress in _batches(tensors.unlabelled, config, epoch):
        past = state.usage
        steps.append(_step(state, Batch(x, tensors, progress, bias), config))
        usage += batch_usage(state.usage, past, config.objective.usage_momentum)
    shares = tuple((usage / usage.sum()).tolist())
    seconds = time.perf_counter() - started
    record = replace(_record(epoch, steps), usage=shares, seconds=seconds)
    state.epoch = epoch + 1
    state.history.append(record)
    return record


def _logit_bias(state: FitState, config: RunConfig) -> Tensor | None:
    """What the curriculum adds to the channel logits; None where there is no curriculum."""
    curriculum = config.objective.curriculum
    if not curriculum.start:
        return None
    losses = [record.reconstruction for record in state.history]
    return logit_bias(losses, state.network.num_channels, config.fit.epochs, curriculum)


def _record(epoch: int, steps: Sequence[Mapping[str, float]]) -> EpochRecord:
    """Means over the steps of an epoch."""
    means: dict[str, Any] = {
        name: float(np.mean([step[name] for step in steps])) for name in steps[0]
    }
    effective = math.exp(means.pop("usage_entropy"))
    return EpochRecord(epoch=epoch, effective_channels=effective, **means)


def _batches(x: Tensor, config: RunConfig, epoch: int) -> Iterator[tuple[Tensor, float]]:
    """Batches of one epoch, and the progress of the run in [0, 1) at each."""
    order = torch.randperm(len(x))
    steps = max(1, len(x) // config.fit.batch)
    for step in range(steps):
        index = order[step * config.fit.batch : (step + 1) * config.fit.batch]
        yield x[index], (epoch + step / steps) / config.fit.epochs


def _step(state: FitState, batch: Batch, config: RunConfig) -> dict[str, float]:
    """One step of the optimiser; the loss and every term by name."""
    set_learning_rate(state.optimizer, one_cycle(batch.progress, config.fit.peak_lr))
    terms = compute_terms(state, batch, config)
    loss = combine(terms)
    values = {"loss": loss.item(), **{term.name: term.value.item() for term in terms}}
    _require_finite(values, batch.progress * config.fit.epochs)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.fit.clip)
    state.optimizer.step()
    return values


def _require_finite(values: Mapping[str, float], epoch: float) -> None:
    """Stop before a step spoils the weights: the last checkpoint stays good."""
    if not math.isfinite(values["loss"]):
        shown = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
        raise Diverged(
            f"epoch {epoch:.2f}: expected a finite loss, got {shown}; "
            "check the inputs for NaN, or lower fit.peak_lr"
        )


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
