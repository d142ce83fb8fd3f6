"""The training loop: visible, resumable, and loud when the loss is no longer finite."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from rcmvae.errors import Diverged
from training.batch import Batch, Tensors, compute_terms
from training.checkpoint import read_checkpoint, write_checkpoint
from training.config import RunConfig
from training.curriculum import logit_bias
from training.data import Dataset
from training.label_graph import graph_labels
from training.machine import machine_for, set_up
from training.objective import batch_usage
from training.parting import is_to_part, part_labels
from training.ranks import (
    average_gradients,
    averaged,
    draw_apart,
    is_first,
    own_part,
    require_divisible,
    require_same,
)
from training.restart import is_stuck, start_anew
from training.state import EpochRecord, FitState, new_state, seed_of
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
        start: a state to continue from, which a restart would throw away, so that there is none;
            None for a new one.
        on_epoch: called after every epoch with the state, which it must not change.
        quiet: no progress bar.

    Where several ranks train together, all call this alike; the first alone writes and talks.

    Raises:
        Diverged: the loss is not finite; names the epoch and the terms.
        InvalidInput: CUDA is asked for where there is none, or the ranks cannot share a batch.
        DataError: the checkpoint is damaged, or the ranks do not see the same one.
    """
    require_divisible("fit.batch", config.fit.batch)
    require_divisible("fit.labelled_batch", config.fit.labelled_batch)
    torch.set_num_threads(thread_count(config.fit.threads))
    machine = machine_for(config.fit)
    state = start if start is not None else new_state(dataset, config)
    with ExitStack() as networks:
        networks.enter_context(set_up(state.network, machine))
        if state.average is not None:
            networks.enter_context(set_up(state.served, machine))
        state.counts, state.usage = state.counts.to(machine.device), state.usage.to(machine.device)
        if checkpoint is not None and checkpoint.is_file():
            read_checkpoint(checkpoint, state)
        require_same(digest(state), "state at the start")
        tensors = tensors_of(dataset, machine.device, graph=bool(config.objective.graph_label))
        go_on = partial(_fit_epochs, state, tensors, dataset, config, checkpoint, on_epoch)
        while go_on(may_restart=start is None, quiet=quiet or not is_first()):
            start_anew(state, dataset, config)
        state.counts, state.usage = state.counts.cpu(), state.usage.cpu()
    return state


def digest(state: FitState) -> Tensor:
    """Numbers that differ where states do, (3,) float64."""
    weights = sum(parameter.detach().double().sum() for parameter in state.network.parameters())
    done = torch.tensor(float(state.epoch), device=state.counts.device)
    return torch.stack([done, torch.as_tensor(weights), state.counts.double().sum()]).double()


def _fit_epochs(
    state: FitState,
    tensors: Tensors,
    dataset: Dataset,
    config: RunConfig,
    checkpoint: Path | None,
    on_epoch: Callable[[FitState], None] | None,
    *,
    may_restart: bool,
    quiet: bool,
) -> bool:
    """Go on to the last epoch; True where the fit is stuck and may start anew instead."""
    epochs = range(state.epoch, config.fit.epochs)
    written = time.monotonic()
    # A terminal is redrawn often; a log gets a line now and then.
    pause = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(epochs, desc="fit", unit="epoch", disable=quiet, mininterval=pause) as bar:
        for epoch in bar:
            if may_restart and is_stuck(state, config):
                return True
            if may_restart and is_to_part(state, config):
                part_labels(state, dataset)
            record = _fit_epoch(state, tensors, config, epoch)
            bar.set_postfix(_shown(record), refresh=False)
            age = time.monotonic() - written
            if checkpoint is not None and is_first() and is_due(epoch, age, config):
                write_checkpoint(checkpoint, state)
                written = time.monotonic()
            if on_epoch is not None:
                on_epoch(state)
    return False


def _shown(record: EpochRecord) -> dict[str, str]:
    return {"loss": f"{record.loss:.2f}", "channels": f"{record.effective_channels:.1f}"}


def tensors_of(dataset: Dataset, device: torch.device, *, graph: bool = False) -> Tensors:
    """What the fit uses of the data, on the device; with labels of the graph if asked for."""
    known = dataset.labelled
    return Tensors(
        torch.from_numpy(dataset.unlabelled).to(device),
        torch.from_numpy(known.x).to(device),
        torch.from_numpy(known.y).to(device),
        torch.from_numpy(_graph_labels(dataset)).to(device) if graph else None,
    )


def _graph_labels(dataset: Dataset) -> NDArray[np.float32]:
    x, labelled = dataset.scaled(dataset.unlabelled), dataset.scaled(dataset.labelled.x)
    return graph_labels(x, labelled, dataset.labelled.y, len(dataset.labels))


def is_due(epoch: int, age: float, config: RunConfig) -> bool:
    """Whether the end of an epoch is the time for a checkpoint.

    Which ones are written has no say in the result: a resumed epoch is the same from any of them.

    Args:
        epoch: that has ended, from 0.
        age: seconds since the last checkpoint, or since the start.
        config: the run.
    """
    done = epoch + 1
    in_turn = done % config.fit.checkpoint_epochs == 0 or done == config.fit.epochs
    return in_turn or age >= config.fit.checkpoint_seconds


def _fit_epoch(state: FitState, tensors: Tensors, config: RunConfig, epoch: int) -> EpochRecord:
    # The generator depends on seed and epoch alone, so that a resumed run sees the same batches.
    torch.manual_seed(seed_of(config, state.attempt) * 100_003 + epoch)
    state.network.train()
    bias = _logit_bias(state, config)
    started, usage, steps = time.perf_counter(), torch.zeros_like(state.usage), []
    rows = torch.arange(len(tensors.unlabelled), device=tensors.unlabelled.device)
    for row, progress in batches(rows, config, epoch):
        past = state.usage
        graph_label = None if tensors.graph_label is None else tensors.graph_label[row]
        batch = Batch(tensors.unlabelled[row], tensors, progress, bias, graph_label)
        steps.append(step(state, batch, config))
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
    bias = logit_bias(losses, state.network.num_channels, config.fit.epochs, curriculum)
    return bias.to(state.counts.device)


def _record(epoch: int, steps: Sequence[Mapping[str, Tensor]]) -> EpochRecord:
    """Means over the steps of an epoch, and over the ranks.

    The values leave the device once an epoch: to wait for them at every step would idle it.
    """
    values = {n: averaged(torch.stack([s[n] for s in steps])).tolist() for n in steps[0]}
    _require_finite(values, epoch)
    means: dict[str, Any] = {name: float(np.mean(column)) for name, column in values.items()}
    effective = math.exp(means.pop("usage_entropy"))
    return EpochRecord(epoch=epoch, effective_channels=effective, **means)


def batches(x: Tensor, config: RunConfig, epoch: int) -> Iterator[tuple[Tensor, float]]:
    """This rank's share of the batches of one epoch, and the progress of the run at each.

    Progress is in [0, 1).
    """
    order = torch.randperm(len(x)).to(x.device)
    draw_apart()
    steps = max(1, len(x) // config.fit.batch)
    for step in range(steps):
        index = order[step * config.fit.batch : (step + 1) * config.fit.batch]
        yield x[own_part(index)], (epoch + step / steps) / config.fit.epochs


def step(state: FitState, batch: Batch, config: RunConfig) -> dict[str, Tensor]:
    """One step of the optimiser; the loss and every term by name."""
    rate = one_cycle(batch.progress, config.fit.peak_lr, config.fit.hold)
    set_learning_rate(state.optimizer, rate)
    terms = compute_terms(state, batch, config)
    loss = combine(terms)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(state.network.parameters())
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), config.fit.clip)
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.network)
    return {"loss": loss.detach(), **{term.name: term.value.detach() for term in terms}}


def _require_finite(values: Mapping[str, Sequence[float]], epoch: int) -> None:
    """Stop before an epoch with a spoilt step is kept: the last checkpoint stays good."""
    losses = values["loss"]
    spoilt = next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if spoilt is not None:
        shown = ", ".join(f"{name}={column[spoilt]:.4g}" for name, column in values.items())
        raise Diverged(
            f"epoch {epoch + spoilt / len(losses):.2f}: expected a finite loss, got {shown}; "
            "check the inputs for NaN, or lower fit.peak_lr"
        )


def one_cycle(progress: float, peak: float, hold: float = 0.0, warm: float = 0.25) -> float:
    """Learning rate at ``progress``: cosine from peak/25 up to peak, then down to near zero.

    Smith and Topin 2018, with a time at the peak. It depends on progress alone, so that a resumed
    run needs no state.

    Args:
        progress: of the run, in [0, 1].
        peak: the highest rate.
        hold: share of the run until which the rate stays at the peak, in [0, 1).
        warm: share of the run after which it is there, in (0, 1).
    """
    if progress < warm:
        return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / warm)))
    fall = max(hold, warm)
    gone = max(0.0, progress - fall) / (1 - fall)
    return peak * (1e-3 + 0.5 * (1 + math.cos(math.pi * gone)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
