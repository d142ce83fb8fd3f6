"""What is served is what the configuration says: scores of every prior, likelihood and layout."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from rcmvae.bundle import BundleDraft, Lineage
from rcmvae.bundle.manifest import DECODER, ENCODER, SCORES, TAU
from rcmvae.graph import Graphs
from rcmvae.ood import SCORE_NAMES, SMALLEST_SIGMA
from tests.training.tiny import tiny_config, tiny_dataset
from training.assemble import assemble
from training.data import label_ids
from training.encode import run_served
from training.fit import fit
from training.model.network import RcmVae

# Each choice of a prior, a likelihood, a layout and a decoder, in as few exports as will do.
CHOICES = (
    ("model.prior=mixture", "model.likelihood=gaussian", "model.sigma=image"),
    ("model.prior=vamp", "model.layout=shared"),
    (
        "model.prior=geometric",
        "model.likelihood=gaussian",
        "model.sigma=pixel",
        "model.decoder=conv",
        "model.conditioning=cin",
    ),
    ("model.prior=mixture", "model.layout=shared", "model.conditioning=concat"),
    ("model.prior=vamp", "model.decoder=conv", "model.conditioning=concat"),
    ("model.layout=shared", "model.decoder=conv", "model.likelihood=gaussian"),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """By torch alone, for the best channel at its latent mean."""

    error: Tensor
    kl: Tensor


@torch.no_grad()
def by_torch(network: RcmVae, x: Tensor) -> Expected:
    rows = torch.arange(len(x))
    encoding, prior = network.encode(x), network.prior_moments()
    channel = encoding.logits.argmax(dim=1)
    mu, logvar = encoding.mu[rows, channel], encoding.logvar[rows, channel]
    decoded = network.decode(mu, channel)
    sigma = network.likelihood.sigma(decoded)
    own = Normal(prior.mean[channel], (0.5 * prior.logvar[channel]).exp())
    kl = kl_divergence(Normal(mu, (0.5 * logvar).exp()), own).sum(dim=1)
    if sigma is None:
        error = -Bernoulli(logits=decoded.logits, validate_args=False).log_prob(x)  # type: ignore[no-untyped-call]
        return Expected(error.flatten(1).sum(dim=1), kl)
    least = np.log(SMALLEST_SIGMA * np.sqrt(2 * np.pi))
    error = -Normal(decoded.logits.sigmoid(), sigma).log_prob(x) - least  # type: ignore[no-untyped-call]
    return Expected(error.flatten(1).sum(dim=1), kl)


def fitted(choice: tuple[str, ...]) -> tuple[RcmVae, BundleDraft]:
    dataset = tiny_dataset()
    config = tiny_config("fit.epochs=3", "objective.kl_warmup=0.0", *choice)
    state = fit(dataset, config, quiet=True)
    draft = assemble(state.network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    return state.network.eval(), draft


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES, ids=" ".join)
def test_served_scores_are_those_of_the_model(choice: tuple[str, ...]) -> None:
    network, draft = fitted(choice)
    graphs = Graphs(*(draft.contents[name] for name in (ENCODER, TAU, DECODER, SCORES)))
    x = tiny_dataset().test.x
    scores, fused, position = run_served(graphs, ("scores", "fused", "position"), x)
    columns = dict(zip(SCORE_NAMES, scores.T, strict=True))
    expected = by_torch(network, torch.from_numpy(x))
    np.testing.assert_allclose(columns["kl"], expected.kl, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        columns["reconstruction_error"], expected.error, rtol=1e-3, atol=1e-2
    )
    np.testing.assert_allclose(
        columns["negative_elbo"], columns["kl"] + columns["reconstruction_error"], rtol=1e-5
    )
    others = [columns[name] for name in SCORE_NAMES if name != "logit_energy"]
    assert np.min(others) >= 0
    assert np.isfinite(fused).all()
    assert np.abs(position).max() < 10, "around the anchors, wherever the prior lies"
