"""The objective, one function a term; docs/math.md derives them.

Shapes: B inputs, K channels, C labels, M channels in the exact expectation, d latent dimensions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import ObjectiveConfig
from training.model.encoder import Encoding
from training.model.network import RcmVae

_TINY = 1e-8


class Routing(NamedTuple):
    """The M most responsible channels of every input.

    Attributes:
        channel: their indices, (B, M) int64.
        weight: their responsibilities, renormalised to sum to one, (B, M).
    """

    channel: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class TermWeights:
    """Weights of the terms at one moment of the run."""

    kl: float
    supervised: float
    usage: float
    label_agreement: float


class Terms(NamedTuple):
    """The terms of one step, each a scalar tensor in nats, and what they sum to.

    Reconstruction and KL are per input value (divided by the input's size).
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor
    supervised: Tensor
    usage_entropy: Tensor
    channel_agreement: Tensor
    label_agreement: Tensor


def ramp(progress: float, start: float, end: float) -> float:
    """0 before start, 1 after end, linear between; all as shares of the run."""
    if end <= start:
        return float(progress >= end)
    return min(1.0, max(0.0, (progress - start) / (end - start)))


def weights_at(progress: float, config: ObjectiveConfig) -> TermWeights:
    """The weights of the terms at ``progress`` in [0, 1] of the run."""
    return TermWeights(
        kl=ramp(progress, 0.0, config.kl_warmup),
        supervised=config.supervised * ramp(progress, *config.supervised_ramp),
        usage=config.usage * (1.0 - ramp(progress, *config.usage_fade)),
        label_agreement=config.label_agreement * ramp(progress, *config.label_agreement_ramp),
    )


def top_channels(responsibilities: Tensor, count: int) -> Routing:
    """The ``count`` most responsible channels of r (B, K), renormalised on that set."""
    top = responsibilities.topk(min(count, responsibilities.shape[1]), dim=1)
    return Routing(top.indices, top.values / top.values.sum(dim=1, keepdim=True))


def gather_channels(values: Tensor, channel: Tensor) -> Tensor:
    """Pick values (B, K, d) at channel (B, M): (B, M, d)."""
    index = channel.unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z, c) in nats for logits (..., *shape) and x broadcast to them, summed over shape.

    Args:
        logits: (B, M, *shape).
        x: (B, *shape), values in [0, 1].

    Returns:
        (B, M).
    """
    target = x.unsqueeze(1).expand_as(logits)
    nll = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return nll.flatten(2).sum(dim=2)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, diag exp logvar) || N(0, I)) in nats over the last axis (Kingma 2014, app. B)."""
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).sum(dim=-1)


def elbo_terms(
    network: RcmVae, x: Tensor, encoding: Encoding, routing: Routing
) -> tuple[Tensor, Tensor]:
    """Reconstruction and KL_z, each the batch mean of its expectation over the routed channels.

    Losses are weighed, decodings are never blended: a blend would let several channels share one
    input in parts.
    """
    mu = gather_channels(encoding.mu, routing.channel)
    logvar = gather_channels(encoding.logvar, routing.channel)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    decoded = network.decode(z.flatten(0, 1), routing.channel.flatten())
    nll = bernoulli_nll(decoded.view(*routing.channel.shape, *network.shape), x)
    reconstruction = (routing.weight * nll).sum(dim=1).mean()
    kl = (routing.weight * gaussian_kl(mu, logvar)).sum(dim=1).mean()
    return reconstruction, kl


def supervised_nll(responsibilities: Tensor, tau: Tensor, label: Tensor) -> Tensor:
    """-log sum_k r_k tau_{k,y}, batch mean; tau (K, C) carries no gradient.

    Args:
        responsibilities: (B, K).
        tau: (K, C).
        label: (B,) int64.
    """
    probability = (responsibilities @ tau.detach()).gather(1, label.unsqueeze(1))
    return -(probability + _TINY).log().mean()


def usage_entropy(responsibilities: Tensor) -> Tensor:
    """H of the batch mean of r, in nats; exp of it is the effective number of channels."""
    usage = responsibilities.mean(dim=0)
    return -(usage * (usage + _TINY).log()).sum()


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """I between the assignments of two views, in nats, from the symmetrised joint of the batch.

    Ji, Henriques and Vedaldi 2019 (IIC), equations 2 and 3.

    Args:
        first: assignment probabilities of one view, (B, J).
        second: of the other, (B, J).
    """
    joint = first.T @ second / first.shape[0]
    joint = ((joint + joint.T) / 2).clamp_min(_TINY)
    joint = joint / joint.sum()
    log_rows = joint.sum(dim=1, keepdim=True).log()
    log_columns = joint.sum(dim=0, keepdim=True).log()
    return (joint * (joint.log() - log_rows - log_columns)).sum()


def posterior_mean(counts: Tensor, alpha0: float) -> Tensor:
    """Map tau = (s + alpha0) / sum_y (s + alpha0) of counts (K, C); rows sum to one."""
    floored = counts + alpha0
    return floored / floored.sum(dim=1, keepdim=True)


def combine(
    reconstruction: Tensor,
    kl: Tensor,
    supervised: Tensor,
    usage: Tensor,
    channels: Tensor,
    labels: Tensor,
    *,
    weights: TermWeights,
    config: ObjectiveConfig,
) -> Terms:
    """The weighted sum that is minimised; usage and the agreements are rewards."""
    loss = (
        config.reconstruction * (reconstruction + weights.kl * kl)
        + weights.supervised * supervised
        - weights.usage * usage
        - config.channel_agreement * channels
        - weights.label_agreement * labels
    )
    return Terms(loss, reconstruction, kl, supervised, usage, channels, labels)


def label_assignment(responsibilities: Tensor, counts: Tensor, alpha0: float) -> Tensor:
    """Assignment to labels, with one more column for "no label speaks for this channel".

    A channel's mass goes to its labels in the share in which it has evidence, s / (s + 1), and
    to the extra column otherwise. Without that column, agreement on labels pulls a class that
    nobody labelled into the classes that somebody did.

    Args:
        responsibilities: (B, K).
        counts: soft label counts s, (K, C).
        alpha0: Dirichlet floor.

    Returns:
        (B, C + 1), rows sum to one.
    """
    mass = counts.sum(dim=1, keepdim=True)
    evidence = mass / (mass + 1.0)
    tau = posterior_mean(counts, alpha0)
    extended = torch.cat([evidence * tau, 1.0 - evidence], dim=1)
    return responsibilities @ extended.detach()
