"""The decoder that is served: narrower than the fit's, and fitted after it.

The fit's decoder is wide because it teaches the encoder. Of what a request pays, its weights are
the largest part beside the encoder (docs/decisions/0008-out-of-distribution.md). A narrow one that
is fitted to the encoder as it ended up decodes held-out inputs as well, and no answer but the
decoder's own depends on it.
"""

import copy
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import FitConfig, RunConfig
from training.data import Dataset
from training.encode import Encoded
from training.model.decoder import build_decoder
from training.model.network import RcmVae

logger = logging.getLogger(__name__)

STEP_SHARE = 1 / 3
"""Steps, as a share of those of the fit."""
BATCH = 256
PEAK_LR = 1e-2
CHUNK = 512
_LEAST_STEPS = 10


@dataclass(frozen=True, slots=True)
class Routed:
    """n inputs, and their latents under their best channels.

    Attributes:
        x: as they are decoded, (n, *shape).
        channel: the most responsible one, int64 (n,).
        mu: its latent mean, (n, d).
        logvar: its latent log-variances, (n, d).
    """

    x: Tensor
    channel: Tensor
    mu: Tensor
    logvar: Tensor

    @classmethod
    def of(cls, x: NDArray[np.float32], encoded: Encoded) -> "Routed":
        """Inputs as they are decoded, (n, *shape), and what the encoder says of them."""
        channel = torch.from_numpy(encoded.channel)
        rows = torch.arange(len(channel))
        mu, logvar = (
            torch.from_numpy(part)[rows, channel] for part in (encoded.mu, encoded.logvar)
        )
        return cls(torch.from_numpy(x), channel, mu, logvar)

    def take(self, rows: Tensor) -> "Routed":
        """Those at rows (m,), int64."""
        return Routed(self.x[rows], self.channel[rows], self.mu[rows], self.logvar[rows])


def with_served_decoder(
    network: RcmVae, dataset: Dataset, config: RunConfig, stream: Encoded, held_out: Encoded
) -> RcmVae:
    """A copy of the network with a narrow decoder, fitted over the encoder as it is.

    Args:
        network: fitted.
        dataset: what it was fitted on.
        config: of the run; its ``model.served_decoder_hidden`` says how narrow.
        stream: the first unlabelled inputs, encoded, to fit to.
        held_out: the inputs of ``dataset.density``, encoded, to judge by.

    Returns:
        The network itself where its own decoder is no wider, is convolutional, or decodes the
        held-out inputs better.
    """
    model = config.model
    if model.decoder != "mlp" or not 0 < model.served_decoder_hidden < model.decoder_hidden:
        return network
    steps = _steps(config.fit, len(dataset.unlabelled))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        narrow = _narrowed(network, config)
        _fit(narrow, Routed.of(dataset.unlabelled[: len(stream.logits)], stream), steps)
    judged = Routed.of(dataset.density.x, held_out)
    own, fitted = decoding_error(network, judged), decoding_error(narrow, judged)
    logger.info("held-out error of the narrow decoder %.4g, of the fit's %.4g", fitted, own)
    return narrow if fitted <= own else network


def decoding_error(network: RcmVae, inputs: Routed) -> float:
    """Mean of -log p(x given mu, c) in nats over inputs under their best channels."""
    with torch.no_grad():
        parts = [
            _nll(network, rows, rows.mu)
            for rows in map(inputs.take, torch.split(torch.arange(len(inputs.x)), CHUNK))
        ]
    return float(torch.cat(parts).mean())


def _steps(fit: FitConfig, count: int) -> int:
    return max(_LEAST_STEPS, round(STEP_SHARE * fit.epochs * max(1, count // fit.batch)))


def _narrowed(network: RcmVae, config: RunConfig) -> RcmVae:
    """A copy with a new decoder."""
    model = replace(config.model, decoder_hidden=config.model.served_decoder_hidden)
    narrow = copy.deepcopy(network)
    narrow.decoder = build_decoder(network.shape, model, network.num_channels)
    return narrow


def _fit(network: RcmVae, stream: Routed, steps: int) -> None:
    """Fit the decoder to draws of the latents, as the fit's own was."""
    optimiser = torch.optim.Adam(network.decoder.parameters(), lr=PEAK_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LR, total_steps=steps)
    network.decoder.train()
    for _ in range(steps):
        rows = stream.take(torch.randint(len(stream.x), (BATCH,)))
        z = rows.mu + torch.exp(0.5 * rows.logvar) * torch.randn_like(rows.mu)
        optimiser.zero_grad()
        _nll(network, rows, z).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    network.decoder.eval()


def _nll(network: RcmVae, rows: Routed, z: Tensor) -> Tensor:
    """-log p(x given z, c) of each row, (n,)."""
    decoded = network.decode(z, rows.channel).by_channel(1)
    return network.likelihood.nll(decoded, network.scaled(rows.x)).squeeze(1)
