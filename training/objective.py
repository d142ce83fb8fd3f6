"""The objective, one function a term; docs/math.md derives them.

Shapes: B inputs, K channels, C labels, M channels in the exact expectation, d latent dimensions.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from training.model.encoder import Encoding
from training.model.network import RcmVae
from training.model.priors import Moments, latent_kl, standardised
from training.objective_config import ObjectiveConfig
from training.routing import Routing

_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class TermWeights:
    """Weights of the terms at one moment of the run.

    Attributes:
        kl: of KL_z within the negative ELBO, in [0, 1].
        supervised: of the supervised term.
        usage: of the usage entropy as a reward.
        sparsity: of the same entropy as a penalty.
        label_agreement: of the agreement on labels.
        pseudo_label: of the second view's confident labels as targets.
        graph_label: of labels spread over the inputs as targets.
        soft_embedding: share of the averaged embedding in what the decoder is conditioned on.
    """

    kl: float
    supervised: float
    usage: float
    sparsity: float
    label_agreement: float
    pseudo_label: float
    graph_label: float
    soft_embedding: float


def ramp(progress: float, start: float, end: float) -> float:
    """0 before start, 1 after end, linear between; all as shares of the run."""
    if end <= start:
        return float(progress >= end)
    return min(1.0, max(0.0, (progress - start) / (end - start)))


def weights_at(progress: float, config: ObjectiveConfig) -> TermWeights:
    """The weights of the terms at ``progress`` in [0, 1] of the run."""
    options = config.options
    return TermWeights(
        kl=ramp(progress, 0.0, config.kl_warmup),
        supervised=config.supervised * ramp(progress, *config.supervised_ramp),
        usage=config.usage * (1.0 - ramp(progress, *config.usage_fade)),
        sparsity=options.sparsity * ramp(progress, *options.sparsity_ramp),
        label_agreement=config.label_agreement * ramp(progress, *config.label_agreement_ramp),
        pseudo_label=config.pseudo_label * ramp(progress, *config.pseudo_label_ramp),
        graph_label=config.graph_label * (1.0 - ramp(progress, *config.graph_label_fade)),
        soft_embedding=1.0 - ramp(progress, 0.0, options.soft_embedding),
    )


def gather_channels(values: Tensor, channel: Tensor) -> Tensor:
    """Pick values (B, K, d) at channel (B, M): (B, M, d)."""
    index = channel.unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index)


@dataclass(frozen=True, slots=True)
class Elbo:
    """Parts of the negative ELBO, each the batch mean in nats.

    Attributes:
        reconstruction: scalar.
        kl: scalar.
        z: the latents that were drawn, in the coordinates in which their prior is N(0, I),
            (B, M, d).
    """

    reconstruction: Tensor
    kl: Tensor
    z: Tensor


def elbo_terms(
    network: RcmVae,
    x: Tensor,
    encoding: Encoding,
    routing: Routing,
    *,
    kl_form: Literal["routed", "all"] = "routed",
    embedding: Tensor | None = None,
) -> Elbo:
    """Reconstruction and KL_z, each the batch mean of its expectation over the routed channels.

    Losses are weighed, decodings are never blended: a blend would let several channels share one
    input in parts.

    Args:
        network: to decode with.
        x: inputs, (B, *shape).
        encoding: of x.
        routing: M channels of each.
        kl_form: ``all`` sums KL_z over all K channels, without weights.
        embedding: what the decoder is conditioned on, (B, M, E); the routed channels' own if None.
    """
    mu = gather_channels(encoding.mu, routing.channel)
    logvar = gather_channels(encoding.logvar, routing.channel)
    z = mu + torch.exp(0.5 * logvar) * network.layout.noise(mu)
    if embedding is None:
        embedding = network.decoder.channel_embedding(routing.channel)
    decoded = network.decode_under(z.flatten(0, 1), embedding.flatten(0, 1))
    nll = network.likelihood.nll(decoded.by_channel(routing.channel.shape[1]), network.scaled(x))
    reconstruction = (routing.weight * nll).sum(dim=1).mean()
    prior = network.prior_moments()
    own = Moments(prior.mean[routing.channel], prior.logvar[routing.channel])
    if kl_form == "all":
        kl = latent_kl(encoding.mu, encoding.logvar, prior).sum(dim=1).mean()
    else:
        kl = (routing.weight * latent_kl(mu, logvar, own)).sum(dim=1).mean()
    return Elbo(reconstruction, kl, standardised(z, logvar, own).mean)


def blended_embedding(
    table: Tensor, responsibilities: Tensor, channel: Tensor, share: float
) -> Tensor:
    """Between the embedding averaged by r and the channel's own: the soft-embedding warm-up.

    Early, every channel is decoded under nearly the same embedding and the routing alone decides;
    only embeddings are averaged, the losses of the channels stay apart.

    Args:
        table: channel embeddings, (K, E).
        responsibilities: (B, K).
        channel: (B, M) int64.
        share: of the average, in [0, 1].

    Returns:
        (B, M, E).
    """
    average = (responsibilities @ table).unsqueeze(1)
    return share * average + (1.0 - share) * table[channel]


def supervised_nll(responsibilities: Tensor, tau: Tensor, label: Tensor) -> Tensor:
    """-log sum_k r_k tau_{k,y}, mean over the batch; zero for an empty one.

    No gradient goes into tau.

    Args:
        responsibilities: (B, K).
        tau: (K, C).
        label: (B,) int64.
    """
    probability = (responsibilities @ tau.detach()).gather(1, label.unsqueeze(1))
    loss = -(probability + _TINY).log()
    return loss.mean() if len(label) else loss.sum()


def pseudo_label_nll(target: Tensor, learning: Tensor, tau: Tensor, threshold: float) -> Tensor:
    """-log p(y^ given x) of one view, where the other is sure of y^; the mean over all inputs.

    Sohn et al. 2020 (FixMatch) with the label map in place of a classifier. No gradient goes into
    the targets or into tau.

    Args:
        target: responsibilities of the view that names y^, (B, K).
        learning: responsibilities of the view that learns, (B, K).
        tau: (K, C).
        threshold: least p(y given x) of the target view.
    """
    confidence, label = (target @ tau).detach().max(dim=1)
    probability = (learning @ tau.detach()).gather(1, label.unsqueeze(1)).squeeze(1)
    return -((confidence >= threshold) * (probability + _TINY).log()).mean()


def graph_label_nll(responsibilities: Tensor, tau: Tensor, target: Tensor) -> Tensor:
    """-sum_y t_y log p(y given x), batch mean; no gradient into tau.

    Args:
        responsibilities: (B, K).
        tau: (K, C).
        target: t, (B, C), rows sum to at most one: an input of which little is known weighs little.
    """
    log_probability = (responsibilities @ tau.detach() + _TINY).log()
    return -(target * log_probability).sum(dim=1).mean()


def moved_usage(past: Tensor, responsibilities: Tensor, momentum: float) -> Tensor:
    """Moving sum of the mean responsibilities, (K,); no gradient reaches the past.

    It sums to 1 - momentum^t after t batches from zero: divided by its sum, it is an average that
    the start does not bias.

    Args:
        past: the sum before, (K,).
        responsibilities: of the batch, (B, K).
        momentum: share of the past, in [0, 1).
    """
    return momentum * past.detach() + (1.0 - momentum) * responsibilities.mean(dim=0)


def batch_usage(usage: Tensor, past: Tensor, momentum: float) -> Tensor:
    """Mean responsibilities of the batch that moved the sum from ``past`` to ``usage``, (K,).

    Args:
        usage: the moving sum after the batch, (K,).
        past: before it, (K,).
        momentum: share of the past, in [0, 1).
    """
    return (usage - momentum * past) / (1.0 - momentum)


def usage_entropy(usage: Tensor) -> Tensor:
    """H of mean responsibilities (K,) in nats; exp of it is the effective number of channels."""
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


def label_assignment(
    responsibilities: Tensor, counts: Tensor, alpha0: float, half: float = 1.0
) -> Tensor:
    """Assignment to labels, with one more column for "no label speaks for this channel".

    A channel's mass goes to its labels in the share in which it has evidence, s / (s + half), and
    to the extra column otherwise. Without that column, agreement on labels pulls a class that
    nobody labelled into the classes that somebody did.

    Args:
        responsibilities: (B, K).
        counts: soft label counts s, (K, C).
        alpha0: Dirichlet floor.
        half: evidence of which half is given to the labels, in examples.

    Returns:
        (B, C + 1), rows sum to one.
    """
    mass = counts.sum(dim=1, keepdim=True)
    evidence = mass / (mass + half)
    tau = posterior_mean(counts, alpha0)
    extended = torch.cat([evidence * tau, 1.0 - evidence], dim=1)
    return responsibilities @ extended.detach()
