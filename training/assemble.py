"""From a fitted network to a bundle's draft: export, label map, densities, picture."""

import time
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from rcmvae.bundle import BundleDraft, InputSignature, Lineage
from rcmvae.bundle.manifest import (
    CHANNELS,
    DECODER,
    ENCODER,
    GOLDEN,
    LATENT_MAP,
    SCORES,
    WEIGHTS,
)
from rcmvae.graph import Graphs
from rcmvae.label_map import LabelMap
from rcmvae.ood import FEATURE_AXES, FusedDensity, LatentPrior, fit_fused_density
from rcmvae.scores_graph import Placement, scores_graph
from rcmvae.tau_graph import tau_graph
from training.affinity import channel_affinity
from training.augment import views
from training.calibrate import fit_density, fit_temperature
from training.config import RunConfig, to_json
from training.data import Dataset, Examples
from training.draft import (
    Foundation,
    write_channels,
    write_draft,
)
from training.encode import Encoded, encode, run_served, session_of
from training.export import export_decoder, export_encoder, measure_parity, require_parity
from training.golden_set import write_golden
from training.model.network import RcmVae
from training.picture import draw_picture
from training.reference import write_reference_points
from training.resemblance import channel_resemblance
from training.served_decoder import with_served_decoder

PARITY_INPUTS = 512
DENSITY_INPUTS = 20_000


def assemble(
    network: RcmVae,
    dataset: Dataset,
    config: RunConfig,
    lineage: Lineage,
    ids: tuple[str, ...],
    *,
    before: Placement | None = None,
) -> BundleDraft:
    """Export a fitted network and build everything that serving needs on top of it.

    Args:
        network: fitted.
        dataset: what it was fitted on; the test part is not touched.
        config: of the run.
        lineage: where the bundle comes from.
        ids: of the labelled examples, in their order.
        before: the picture of the parent, to lie alike with.

    Raises:
        ParityError: ONNX and torch differ by more than ``config.calibration.parity``.
    """
    started = time.perf_counter()
    low, high = dataset.value_range
    encoder = export_encoder(network)
    session = session_of(encoder)
    seen = dataset.unlabelled[:DENSITY_INPUTS]
    stream, held_out = encode(session, seen), encode(session, dataset.density.x)
    served = with_served_decoder(network, dataset, config, stream, held_out)
    decoder = export_decoder(served, config.model.latent_dim)
    parity = measure_parity(served, encoder, decoder, seen[:PARITY_INPUTS])
    require_parity(parity, config.calibration.parity)
    label_map = build_label_map(network, dataset, config, ids, stream)
    graphs = _fit_graphs(
        encoder, decoder, stream, dataset, config, label_map, prior_of(network), before
    )
    temperature = _temperature(held_out, dataset.density, label_map)
    signature = InputSignature(shape=dataset.shape, low=low, high=high, features=dataset.features)
    foundation = Foundation(
        signature=signature,
        num_channels=network.num_channels,
        latent_dim=config.model.latent_dim,
        configuration=to_json(config),
        contents={
            ENCODER: graphs.encoder,
            DECODER: graphs.decoder,
            SCORES: graphs.scores,
            CHANNELS: write_channels(channel_affinity(stream), label_map.resemblance),
            GOLDEN: write_golden(dataset.density, dataset.calibration),
            LATENT_MAP: write_reference_points(
                graphs, dataset, signature, config.picture.reference_points
            ),
            WEIGHTS: write_weights(network),
        },
        temperature=temperature,
    )
    metrics = {f"parity_{name}": value for name, value in asdict(parity).items()}
    metrics["export_seconds"] = time.perf_counter() - started
    return write_draft(foundation, label_map, config.calibration, lineage, metrics)


def build_label_map(
    network: RcmVae, dataset: Dataset, config: RunConfig, ids: tuple[str, ...], stream: Encoded
) -> LabelMap:
    """Count the responsibilities of every labelled example, averaged over augmented views.

    Args:
        network: fitted.
        dataset: what it was fitted on.
        config: of the run.
        ids: of the labelled examples, in their order.
        stream: the first unlabelled inputs, encoded: along them labels spread to channels
            without evidence.
    """
    resemblance = None
    if config.calibration.spread_labels:
        shown = dataset.scaled(dataset.unlabelled[: len(stream.logits)])
        resemblance = channel_resemblance(shown, stream)
    return LabelMap(
        labels=dataset.labels,
        contributions=_contributions(network, dataset.labelled.x, config),
        contribution_labels=dataset.labelled.y,
        ids=ids,
        alpha0=config.objective.alpha0,
        resemblance=resemblance,
    )


def _contributions(
    network: RcmVae, x: NDArray[np.float32], config: RunConfig
) -> NDArray[np.float64]:
    """Responsibilities of labelled inputs (n, *shape), averaged over augmented views, (n, K)."""
    if not len(x):
        return np.empty((0, network.num_channels))
    generator = torch.random.get_rng_state()
    torch.manual_seed(config.seed)
    plain = torch.from_numpy(x)
    more = (views(plain, config.augment) for _ in range(config.calibration.count_views - 1))
    with torch.no_grad():
        drawn = [
            network.eval().encode(view).logits.double().softmax(dim=1) for view in (plain, *more)
        ]
    torch.random.set_rng_state(generator)
    return np.asarray(torch.stack(drawn).mean(dim=0).numpy())


def write_weights(network: RcmVae) -> bytes:
    """Content of `weights.safetensors`, in the plain layout whatever the memory format."""
    return bytes(save({name: part.contiguous() for name, part in network.state_dict().items()}))


def prior_of(network: RcmVae) -> LatentPrior:
    """The moments of the network's prior on z, fixed for serving."""
    with torch.no_grad():
        moments = network.eval().prior_moments()
    return LatentPrior(*(part.detach().double().numpy() for part in moments))


def _temperature(encoded: Encoded, held_out: Examples, label_map: LabelMap) -> float:
    """Fitted on held-out labels that the conformal samples do not use; 1 for an empty map."""
    if not label_map.ids:
        return 1.0
    return fit_temperature(encoded.logits, held_out.y, label_map.tau)


def _fit_graphs(
    encoder: bytes,
    decoder: bytes,
    stream: Encoded,
    dataset: Dataset,
    config: RunConfig,
    label_map: LabelMap,
    prior: LatentPrior,
    before: Placement | None,
) -> Graphs:
    """Fit the densities and write `scores.onnx`, first with an open fused density, then fitted."""
    count = label_map.num_channels
    features = fit_density(stream.features, stream.channel, count, FEATURE_AXES)
    texture = fit_density(stream.texture, stream.channel, count, stream.texture.shape[1])
    picture = draw_picture(stream, features.means, prior.mean, before)
    # The scores do not depend on the label map: any ownership will do.
    tau = tau_graph(label_map, 1.0, np.zeros(count)).SerializeToString()

    def with_fused(fused: FusedDensity) -> Graphs:
        model = scores_graph(
            dataset.shape,
            features,
            texture,
            fused,
            Placement(picture.anchor, picture.plane),
            prior=prior,
            likelihood="gaussian" if config.model.likelihood == "gaussian" else "bernoulli",
            scaling=dataset.scaling,
        )
        return Graphs(encoder, tau, decoder, model.SerializeToString())

    unfitted = with_fused(FusedDensity.open())
    (scores,) = run_served(unfitted, ("scores",), dataset.density.x)
    return with_fused(fit_fused_density(scores))
