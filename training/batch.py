"""What one batch costs: all terms of the objective, in order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.augment import views
from training.config import RunConfig
from training.objective import (
    Elbo,
    TermWeights,
    blended_embedding,
    elbo_terms,
    graph_label_nll,
    label_assignment,
    moved_usage,
    mutual_information,
    posterior_mean,
    pseudo_label_nll,
    supervised_nll,
    usage_entropy,
    weights_at,
)
from training.objective_config import ObjectiveConfig
from training.ranks import gathered, rank_count
from training.routing import Routing, route
from training.state import FitState
from training.terms.channel_prior import channel_kl, dirichlet_penalty
from training.terms.contrastive import mean_latent, supervised_contrastive
from training.terms.discrepancy import discrepancy
from training.terms.peakiness import logit_mixture_nll
from training.terms.repulsion import repulsion
from training.terms.term import Term
from training.terms.variance import variance_penalty


@dataclass(frozen=True, slots=True)
class Tensors:
    """The data of the fit on the device.

    Attributes:
        unlabelled: (n, *shape).
        labelled_x: (m, *shape).
        labelled_y: (m,) int64.
        graph_label: labels that spread to the unlabelled, (n, C); None where none are asked for.
    """

    unlabelled: Tensor
    labelled_x: Tensor
    labelled_y: Tensor
    graph_label: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step is made of, on one rank.

    Attributes:
        x: this rank's share of the unlabelled inputs, (B, *shape).
        tensors: the data, for the labelled ones to draw from.
        progress: of the run, in [0, 1).
        logit_bias: what the curriculum adds to the channel logits, (K,); None for nothing.
        graph_label: labels that spread to ``x``, (B, C); None where none are asked for.
    """

    x: Tensor
    tensors: Tensors
    progress: float
    logit_bias: Tensor | None = None
    graph_label: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch through the encoder: two views of every unlabelled input, one of every labelled.

    Attributes:
        x: the first view of the unlabelled inputs, (B, *shape).
        features: of the first view, (B, F); latents are read from it where they are needed.
        logits: its channel logits, (B, K).
        routed_logits: the same with the curriculum's bias, (B, K).
        r_first: responsibilities of the first view, (B, K).
        r_second: of the second view, (B, K).
        r_labelled: of the labelled inputs, (L, K).
        features_labelled: of the labelled inputs, (L, F).
        label: theirs, (L,) int64.
    """

    x: Tensor
    features: Tensor
    logits: Tensor
    routed_logits: Tensor
    r_first: Tensor
    r_second: Tensor
    r_labelled: Tensor
    features_labelled: Tensor
    label: Tensor


def compute_terms(state: FitState, batch: Batch, config: RunConfig) -> list[Term]:
    """All terms for one batch; the label counts and the moving usage go along.

    Means over inputs are over this rank's share. Agreement, usage and counts are statistics of the
    batch: over the gathered one, so that they mean the same for any number of ranks.
    """
    objective = config.objective
    weights = weights_at(batch.progress, objective)
    seen = see(state, batch, config)
    shown = first_of(seen, max(1, round(objective.decoded * len(seen.x))))
    routing = route(shown.routed_logits, shown.r_first, batch.progress, objective)
    elbo = elbo_terms(
        state.network,
        shown.x,
        state.network.encoder.read(shown.features),
        routing,
        kl_form=objective.kl_form,
        embedding=_embedding(state, shown, routing, weights),
    )
    size = seen.x[0].numel()
    labelled, label = gathered(seen.r_labelled.detach()), gathered(seen.label)
    counts = update_counts(state, labelled, label, config)
    tau = posterior_mean(counts, objective.fit_alpha0)
    r_first, r_second = gathered(seen.r_first), gathered(seen.r_second)
    usage = update_usage(state, r_first, objective.usage_momentum)
    return [
        Term("reconstruction", elbo.reconstruction / size, objective.reconstruction),
        Term("kl", elbo.kl / size, objective.reconstruction * weights.kl),
        Term("supervised", supervised_nll(seen.r_labelled, tau, seen.label), weights.supervised),
        Term("usage_entropy", usage_entropy(usage), weights.sparsity - weights.usage),
        Term(
            "channel_agreement",
            mutual_information(r_first, r_second),
            -objective.channel_agreement,
        ),
        Term(
            "label_agreement",
            mutual_information(
                label_assignment(r_first, counts, objective.fit_alpha0, objective.evidence_half),
                label_assignment(r_second, counts, objective.fit_alpha0, objective.evidence_half),
            ),
            -weights.label_agreement,
        ),
        *_pseudo_label_term(seen, tau, objective, weights),
        *_graph_label_term(seen, tau, batch, weights),
        *optional_terms(state, seen, elbo, objective),
    ]


def _pseudo_label_term(
    seen: Seen, tau: Tensor, objective: ObjectiveConfig, weights: TermWeights
) -> list[Term]:
    """Nothing where the term is off: its value would be dead weight in the graph."""
    if not objective.pseudo_label:
        return []
    value = pseudo_label_nll(seen.r_second, seen.r_first, tau, objective.pseudo_label_threshold)
    return [Term("pseudo_label", value, weights.pseudo_label)]


def _graph_label_term(seen: Seen, tau: Tensor, batch: Batch, weights: TermWeights) -> list[Term]:
    """Nothing where no labels spread."""
    if batch.graph_label is None:
        return []
    value = graph_label_nll(seen.r_first, tau, batch.graph_label)
    return [Term("graph_label", value, weights.graph_label)]


def see(state: FitState, batch: Batch, config: RunConfig) -> Seen:
    """Draw labelled inputs and views, and send those that learn through the encoder together."""
    tensors, size = batch.tensors, len(batch.x)
    share = config.fit.labelled_batch // rank_count()
    labels = len(tensors.labelled_y)
    # Without a labelled example there is nothing to draw.
    drawn = share if labels else 0
    pick = torch.randint(max(labels, 1), (drawn,), device=tensors.labelled_y.device)
    learning = config.objective.second_view == "learning"
    unlabelled = [batch.x, batch.x] if learning else [batch.x]
    shown = views(torch.cat([*unlabelled, tensors.labelled_x[pick]]), config.augment)
    features, logits = state.network.look(shown)
    routed_logits = _biased(logits, batch)
    responsibilities = routed_logits.softmax(dim=1)
    labelled = len(unlabelled) * size
    return Seen(
        x=shown[:size],
        features=features[:size],
        logits=logits[:size],
        routed_logits=routed_logits[:size],
        r_first=responsibilities[:size],
        r_second=responsibilities[size:labelled] if learning else _target(state, batch, config),
        r_labelled=responsibilities[labelled:],
        features_labelled=features[labelled:],
        label=tensors.labelled_y[pick],
    )


@torch.no_grad()
def _target(state: FitState, batch: Batch, config: RunConfig) -> Tensor:
    """Responsibilities of a weak view of the unlabelled inputs, (B, K), without gradient.

    By the moving average of the weights, where there is one.
    """
    weak = views(batch.x, config.augment, config.augment.target)
    _, logits = state.served.look(weak)
    return _biased(logits, batch).softmax(dim=1)


def _biased(logits: Tensor, batch: Batch) -> Tensor:
    return logits if batch.logit_bias is None else logits + batch.logit_bias


def first_of(seen: Seen, count: int) -> Seen:
    """The same with the first ``count`` unlabelled inputs alone."""
    return replace(
        seen,
        x=seen.x[:count],
        features=seen.features[:count],
        logits=seen.logits[:count],
        routed_logits=seen.routed_logits[:count],
        r_first=seen.r_first[:count],
        r_second=seen.r_second[:count],
    )


def _embedding(
    state: FitState, seen: Seen, routing: Routing, weights: TermWeights
) -> Tensor | None:
    """What the decoder is conditioned on in the soft-embedding warm-up; None after it."""
    if not weights.soft_embedding:
        return None
    table = state.network.decoder.channel_embedding.weight
    return blended_embedding(table, seen.r_first, routing.channel, weights.soft_embedding)


def optional_terms(
    state: FitState, seen: Seen, elbo: Elbo, objective: ObjectiveConfig
) -> list[Term]:
    """The terms of ``objective.options`` whose weight is not zero; no other is computed.

    Those that compare inputs of the batch with each other do so over the gathered batch.
    """
    options, network = objective.options, state.network

    def variance() -> Tensor:
        mu = network.encoder.read(seen.features).mu
        return variance_penalty(gathered(mean_latent(seen.r_first, mu)))

    def contrastive() -> Tensor:
        mu = network.encoder.read(seen.features_labelled).mu
        latent = gathered(mean_latent(seen.r_labelled, mu))
        label = gathered(seen.label)
        return supervised_contrastive(latent, label, options.contrastive_temperature)

    terms: dict[str, tuple[float, Callable[[], Tensor]]] = {
        "channel_kl": (options.channel_kl, lambda: channel_kl(seen.r_first, network.pi())),
        "dirichlet": (options.dirichlet, lambda: dirichlet_penalty(network.pi())),
        "repulsion": (
            options.repulsion,
            lambda: repulsion(network.decoder.channel_embedding.weight),
        ),
        "peakiness": (
            options.peakiness,
            lambda: logit_mixture_nll(seen.logits, options.peak),
        ),
        "contrastive": (options.contrastive, contrastive),
        "variance": (options.variance, variance),
        # The most responsible channel is the first one of a routing.
        "discrepancy": (options.discrepancy, lambda: discrepancy(gathered(elbo.z[:, 0]))),
    }
    return [Term(name, value(), weight) for name, (weight, value) in terms.items() if weight]


def update_counts(state: FitState, owned: Tensor, label: Tensor, config: RunConfig) -> Tensor:
    """Decay the counts, add the batch, and return them in units of labelled examples, (K, C)."""
    onehot = torch.nn.functional.one_hot(label, state.counts.shape[1]).to(owned)
    state.counts = config.objective.count_decay * state.counts + owned.T @ onehot
    mass = state.counts.sum()
    return state.counts * (config.data.labels / mass.clamp_min(torch.finfo(mass.dtype).tiny))


def update_usage(state: FitState, responsibilities: Tensor, momentum: float) -> Tensor:
    """Move the usage by the batch; return its average, (K,), with the batch's gradient."""
    usage = moved_usage(state.usage, responsibilities, momentum)
    state.usage = usage.detach()
    return usage / usage.sum().detach() if momentum else usage
